package export

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/bdia-go/bdia/tokenizer"
)

// ChatTemplate returns the template, in Jinja as transformers and llama.cpp read it, of the conversations that a run
// learns from messages: a line "role: content" for each message, and "assistant:", the separator and the content for
// the assistant's. With add_generation_prompt it ends where the assistant is to speak. begin is what stands before the
// first line, the token that begins a text for example.
func ChatTemplate(begin, separator string) string {
	turn := quoteJinja("assistant:" + separator)
	if begin != "" {
		begin = "{{ " + quoteJinja(begin) + " }}"
	}
	return begin + "{% for message in messages %}{% if message['role'] == 'assistant' %}{{ " + turn + " + (message['content'] | trim) + '\\n' }}" +
		"{% else %}{{ message['role'] + ': ' + (message['content'] | trim) + '\\n' }}{% endif %}{% endfor %}" +
		"{% if add_generation_prompt %}{{ " + turn + " }}{% endif %}"
}

// quoteJinja is a text as a literal of Jinja.
func quoteJinja(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s) + "'"
}

// template returns the template of conversations of what is written: the one of the model's folder, else the one of the
// conversations that its run learned; empty: there is none.
func (j *job) template() string {
	if text := tokenizer.ChatTemplate(j.folder.Tokenizer); text != "" {
		return text
	}
	if j.Talk && j.folder.Separator != nil {
		return ChatTemplate(beginning(j.folder.Tokenizer), *j.folder.Separator)
	}
	return ""
}

// beginning is how a template writes the tokens that begin a text of tok, with the space behind them that gives the
// first line the tokens which it has in a run.
func beginning(tok tokenizer.Tokenizer) string {
	before, _ := tokenizer.Around(tok)
	names, ok := tok.(interface {
		Spelling(id int32) (name string, special bool)
	})
	if len(before) == 0 || !ok {
		return ""
	}
	text, parts, line := "", []tokenizer.Part{}, "user: Hello"
	for _, id := range before {
		name, _ := names.Spelling(id)
		text, parts = text+name, append(parts, tokenizer.Part{ID: id})
	}
	learned, err := tok.Encode([]byte(line))
	for _, gap := range []string{"", " "} {
		ids, wrong := tokenizer.EncodeParts(tok, append(parts, tokenizer.Part{Text: []byte(gap + line)}))
		if err == nil && wrong == nil && slices.Equal(ids[len(before):], learned) {
			return text + gap
		}
	}
	return text
}

// withTemplate returns the tokenizer that is written.
func (j *job) withTemplate() tokenizer.Tokenizer {
	text := j.template()
	if text == "" || text == tokenizer.ChatTemplate(j.folder.Tokenizer) {
		return j.folder.Tokenizer
	}
	return tokenizer.WithChatTemplate(j.folder.Tokenizer, text)
}

// notePrompt notes how prompts are to be written for other programs.
func (j *job) notePrompt() {
	s := j.folder.Separator
	switch {
	case s == nil:
	case j.Talk && tokenizer.ChatTemplate(j.folder.Tokenizer) != "":
		j.note("the chat template is the one of the model that the run started from; the run itself learned lines of \"role: content\", see the model card")
	case j.Talk:
		j.note("conversations are lines of \"role: content\", and the chat template writes them so")
	case *s != "":
		j.note("after each prompt comes the separator " + strconv.Quote(*s) + "; other programs do not put it there by themselves (see the model card)")
	}
}

// modelfile is Ollama's description of a GGUF file with that name: its template writes the prompts that the model
// learned.
func (j *job) modelfile(name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "FROM ./%s\n", name)
	template := "{{ .Prompt }}"
	if s := j.folder.Separator; s != nil {
		template += *s
		if j.Talk {
			turn := "assistant:" + *s
			template = "{{- range .Messages }}{{ if eq .Role \"assistant\" }}" + turn + "{{ .Content }}\n{{ else }}{{ .Role }}: {{ .Content }}\n{{ end }}{{ end }}" + turn
		}
	}
	switch s := j.folder.Separator; {
	case tokenizer.ChatTemplate(j.folder.Tokenizer) != "":
		b.WriteString("# The template of conversations is in the file.\n")
	case s != nil && (strings.Contains(*s, `"""`) || strings.Contains(*s, "{{")):
		b.WriteString("# The separator after a prompt cannot be written in a template: see the model card.\n")
	default:
		fmt.Fprintf(&b, "TEMPLATE \"\"\"%s\"\"\"\n", template)
	}
	fmt.Fprintf(&b, "PARAMETER num_ctx %d\n", j.usualContext())
	if j.Talk {
		b.WriteString("PARAMETER stop \"\\nuser:\"\n")
	}
	return signed(b.String(), "# ", "")
}
