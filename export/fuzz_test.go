package export

import (
	"strings"
	"testing"
)

// FuzzFront: whatever another model's card and config.json say, the front matter of ours stays front matter.
func FuzzFront(f *testing.F) {
	f.Add("---\nlicense: apache-2.0\nlanguage: en\n---\n# It\n", `{"_name_or_path": "a/b"}`)
	f.Add("---\r\nlicense: other\r\nlicense_name: x\r\nlicense_link: https://example.org/a\r\n---", `{"_name_or_path": "/home/me"}`)
	f.Add("---\nlicense: >\n  mit\nlicense: a\nlicense: b\n---", `{`)
	f.Add("license: mit", `[]`)
	f.Fuzz(func(t *testing.T, card, config string) {
		lines := strings.Split(licenseOf(card), "\n")
		if len(lines) > 4 {
			t.Errorf("%q", lines)
		}
		for _, line := range lines[:len(lines)-1] {
			if !strings.HasPrefix(line, "license") || strings.ContainsAny(line, "\r\x00") || len(line) > 300 {
				t.Errorf("%q", line)
			}
		}
		if name := nameOnHub([]byte(config)); strings.ContainsAny(name, "\n\r: \"") || strings.Count(name, "/") > 1 {
			t.Errorf("%q", name)
		}
	})
}
