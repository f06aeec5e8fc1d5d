package export

import "testing"

// TestLicense: of another card's lines on its licence the ones are taken that are YAML by themselves.
func TestLicense(t *testing.T) {
	t.Parallel()
	for card, want := range map[string]string{
		"---\nlicense: apache-2.0\n---\n": "license: apache-2.0\n",
		"---\nlicense: other\nlicense_name: \"a name\"\nlicense_link: https://example.org/a.txt\n---\n": "license: other\nlicense_name: \"a name\"\nlicense_link: https://example.org/a.txt\n",
		"---\nlicense: \"mit\n---\n":         "", // the quotation mark has no end
		"---\nlicense: a: b\n---\n":          "",
		"---\nlicense: mit # of ours\n---\n": "",
		"license: mit\n":                     "",
	} {
		if got := licenseOf(card); got != want {
			t.Errorf("%q: %q, want %q", card, got, want)
		}
	}
}
