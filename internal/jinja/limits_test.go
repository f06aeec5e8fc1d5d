package jinja

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/bdia-go/bdia/internal/testkit"
)

// messages are what templates are given in these tests.
var messages = list(NewDict("role", "user", "content", "Hello"), NewDict("role", "assistant", "content", "Hi"))

func rendered(source string) (string, error) {
	template, err := Parse(source)
	if err != nil {
		return "", err
	}
	return template.Render(map[string]any{"messages": messages, "bos_token": "<s>", "d": NewDict("a", int64(1), "b", int64(0)), "long": strings.Repeat("x", 1000)}, day)
}

// TestLimits: a template without an end, or one that wants more than any prompt has, ends soon with an error.
func TestLimits(t *testing.T) {
	t.Parallel()
	const n = 100_000
	for name, source := range map[string]string{
		"a loop":            "{% for i in range(1000000000) %}x{% endfor %}",
		"loops":             "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}",
		"recursion":         "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
		"a caller":          "{% macro f() %}{% set ns.c = caller %}{{ caller() }}{% endmacro %}{% set ns = namespace() %}{% macro g() %}{{ ns.c() }}{% endmacro %}{% call f() %}{{ g() }}{% endcall %}",
		"a namespace in it": "{% set ns = namespace() %}{% set ns.a = [ns] %}{% set ns.b = {'c': ns.a} %}{% for i in range(9) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}{% for i in range(90) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a }}",
		"lists in lists":    "{% set ns = namespace(a=[]) %}{% for i in range(60) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a | tojson }}",
		"comparison":        "{% set ns = namespace(a=[], b=[]) %}{% for i in range(60) %}{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}",
		"depth":             "{% set ns = namespace(a=[]) %}{% for i in range(9999) %}{% set ns.a = [ns.a] %}{% endfor %}{{ ns.a | string }}",
		"doubling":          "{% set ns = namespace(a='x') %}{% for i in range(60) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}",
		"doubling a list":   "{% set ns = namespace(a=[1]) %}{% for i in range(60) %}{% set ns.a = ns.a + ns.a %}{% endfor %}",
		"a product":         "{{ 'x' * 100000000000 }}",
		"products":          "{{ ('x' * 1000000) * 1000000 }}",
		"replacing":         "{% set a = 'x' * 60000 %}{{ a.replace('x', a) }}",
		"joining":           "{{ range(90000) | join('x' * 60000) }}",
		"an indent":         "{{ ('\\n' * 900000) | indent(1000) }}",
		"JSON":              "{% set ns = namespace(a='\"') %}{% for i in range(60) %}{% set ns.a = ns.a | tojson %}{% endfor %}",
		"output":            "{% for i in range(99999) %}{{ long }}{% endfor %}",
		"text":              "{% for i in range(99999) %}" + strings.Repeat("x", 1000) + "{% endfor %}",
		"brackets":          "{{ " + strings.Repeat("(", n) + "1" + strings.Repeat(")", n) + " }}",
		"lists":             "{{ " + strings.Repeat("[", n) + strings.Repeat("]", n) + " }}",
		"signs":             "{{ " + strings.Repeat("- ", n) + "1 }}",
		"nots":              "{{ " + strings.Repeat("not ", n) + "1 }}",
		"elses":             "{{ " + strings.Repeat("1 if 0 else ", n) + "1 }}",
		"attributes":        "{{ d" + strings.Repeat(".a", n) + " }}",
		"filters":           "{{ d" + strings.Repeat("|safe", n) + " }}",
		"tags":              strings.Repeat("{% if 1 %}", n),
		"size":              strings.Repeat("x", maxSource+1),
		"slices":            "{% for i in range(9999) %}{{ (long * 1000)[::2] }}{% endfor %}",
		"searching":         "{% for i in range(99999) %}{% for j in range(9) %}{{ 'y' in long * 50 }}{% endfor %}{% endfor %}",
	} {
		start := time.Now()
		if _, err := rendered(source); !errors.Is(err, ErrLimit) {
			t.Errorf("%s: %v", name, err)
		}
		if d := time.Since(start); testing.Verbose() {
			t.Log(name, d)
		} else if d > 30*time.Second {
			t.Errorf("%s took %v", name, d)
		}
	}
	// What is long, and no more than that, is written.
	for _, source := range []string{"{{ " + strings.Repeat("1 + ", 5000) + "1 }}", "{% if 0 %}" + strings.Repeat("{% elif 0 %}", 5000) + "{% endif %}"} {
		if _, err := rendered(source); err != nil {
			t.Errorf("%.20s: %v", source, err)
		}
	}
}

// TestLanguage compares with what Jinja2 3.1 writes.
func TestLanguage(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"a {{ bos_token }}{%- if true %}!{% endif %}":        "a <s>!",
		"  {% if true %}\n  x\n  {% endif %}\n y\n":          "  x\n y",
		"a\n  {%- if true -%}\n  x\n  {%- endif +%}\n y\n\n": "ax\n y\n",
		"  {%+ if true %}x{% endif %}":                       "  x",
		"{# c #}\nx{#- d -#} y":                              "xy",
		"{% raw %}{{ x }}{% endraw %}":                       "{{ x }}",
		"{{ none }} {{ true }} {{ 1.0 }} {{ 1e20 }} {{ [1, 'a', none] }} {{ {'a': \"b'\"} }} {{ (1,) }}":                 `None True 1.0 1e+20 [1, 'a', None] {'a': "b'"} (1,)`,
		"{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 3 }} {{ 1 ~ 2 }}":                                   "3 -4 2 3.5 8 12",
		"{{ 1 < 2 < 3 }} {{ 1 < 2 > 3 }} {{ 'a' in 'abc' }} {{ 'x' not in d }} {{ not true == false }}":                  "True False True True True",
		"{% for k, v in d.items() if v %}{{ k }}{{ loop.index }}{{ loop.last }}{% endfor %}":                             "a1True",
		"{% for x in [] %}{% else %}none{% endfor %}":                                                                    "none",
		"{% for x in range(9) %}{% if x == 1 %}{% continue %}{% elif x == 3 %}{% break %}{% endif %}{{ x }}{% endfor %}": "02",
		"{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}{{ x }}":                                            "1",
		"{% set n = namespace(x=1) %}{% for i in [1] %}{% set n.x = 2 %}{% endfor %}{{ n.x }}":                           "2",
		"{% macro f(a, b='x,y') %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}{{ f(2, b=3) }}":                                 "1x,y23",
		"{% macro f() %}<{{ caller() }}>{% endmacro %}{% call f() %}a{% endcall %}":                                      "<a>",
		"{% set x %}a{{ 1 }}{% endset %}{{ x | upper }}{% filter lower %}AB{% endfilter %}":                              "A1ab",
		"{{ messages[::-1][0].role }} {{ messages[-1]['content'] }} {{ 'héllo'[1:3] }} {{ messages[5] is defined }}":     "assistant Hi él False",
		"{{ d | tojson }} {{ '<é\"\\n' | tojson }} {{ 1.5 | tojson }}":                                                   `{"a": 1, "b": 0} "<é\"\n" 1.5`,
		"{{ {'b': [1, {}], 'a': []} | tojson(indent=2) }}":                                                               "{\n  \"b\": [\n    1,\n    {}\n  ],\n  \"a\": []\n}",
		"{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join(', ') }}":                 "Hello",
		"{{ ' a b '.strip().split(' ')[-1] }}{{ 'a,b,c'.split(',', 1) }}{{ 'x' | default('y') }}{{ z | default('y') }}":  "b['a', 'b,c']xy",
		"{{ 'abc'.replace('b', 'x') }}{{ 'abc'.startswith(('x', 'a')) }}{{ 'a b' | title }}{{ [3, 1] | sort }}":          "axcTrueA B[1, 3]",
		"{{ strftime_now('%d %B %Y') }}{% generation %}g{% endgeneration %}":                                             "27 November 2026g",
		"{{ x }}{{ x | length }}{% for i in x %}{% endfor %}{{ 'a' if x }}":                                              "0",
		"{{ d.a is number and d is mapping and 1 is not string and none is none }}":                                      "True",
	} {
		if got, err := rendered(source); got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", source, got, err, want)
		}
	}
	for source, want := range map[string]string{
		"\n{{ 'a' + [] }}":              "line 2 of the template: str + list",
		"{{ x.y }}":                     `line 1 of the template: "x" is undefined, and has no "y"`,
		"{{ 'a' + x }}":                 `line 1 of the template: str + "x", which is undefined`,
		"{{ messages.append(1) }}":      "line 1 of the template: append of a list changes it, which templates may not",
		"{% if true %}":                 `line 1 of the template: the template ends, and "endif" was to come`,
		"{{ raise_exception('no') }}":   "no",
		"{{ 1 | nothing }}":             `line 1 of the template: no filter is named "nothing"`,
		"{% include 'a' %}":             `line 1 of the template: the tag "include" is not known`,
		"{{ 1 ":                         "line 1 of the template: a tag has no end }}",
		"{{ (1] }}":                     `line 1 of the template: "]" closes nothing`,
		"{{ 9223372036854775807 + 1 }}": "line 1 of the template: 9223372036854775807 + 1 is beyond 64 bits",
		"{% break %}":                   "line 1 of the template: break stands outside a loop",
	} {
		if _, err := rendered(source); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", source, err, want)
		}
	}
}

// FuzzTemplate: whatever a template says, it is rendered or refused, within the limits, and leaves what it is given.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"{% for m in messages %}{{ m.role ~ m['content'] | trim }}{% endfor %}", "{% macro f(a=1) -%} {{ a|tojson(indent=2) }} {%- endmacro %}{{ f() }}",
		"{% set n = namespace(x=[]) %}{% set n.x = n.x + [1] %}{{ n.x[::-1] }}", "{{ 'a' * 3 if d.a is number else -d.b // 2 ** 3 }}", "{% raw %}{% endraw %}{# #}"} {
		f.Add(s, `{"role": "user", "tools": [{"a": 1.5e3, "b": null}], "n": 123456789012345678901}`)
	}
	f.Fuzz(func(t *testing.T, source, object string) {
		template, err := Parse(source)
		if err != nil {
			testkit.Refused(t, err)
			return
		}
		v, err := FromJSON([]byte(object))
		if err != nil {
			v = nil
		}
		text, err := template.Render(map[string]any{"messages": messages, "d": v}, day)
		testkit.Refused(t, err)
		if err == nil && len(text) > maxOutput+1<<20 {
			t.Errorf("%d bytes", len(text))
		}
		if len(messages.Items) != 2 || len(messages.Items[0].(*Dict).keys) != 2 {
			t.Error("the template has changed what it was given")
		}
	})
}
