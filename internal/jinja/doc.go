// Package jinja renders the chat templates of language models: the part of Jinja2 that they use, in the environment of
// Hugging Face's transformers (trim_blocks, lstrip_blocks, loop controls, the immutable sandbox, tojson
// without HTML escapes, raise_exception, strftime_now, {% generation %}).
//
// Templates come with models that anybody may have published. So a rendering has limits of nesting, steps, memory and
// output (see Limits): a template that has no end, or wants more memory than any prompt has, ends with ErrLimit. No
// template changes what it is given, except for attributes of a namespace of its own.
//
// What Jinja2 refuses is an error here too: an attribute of something undefined, a text plus a list, a filter that does
// not exist.
package jinja
