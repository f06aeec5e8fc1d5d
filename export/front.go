package export

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/textfile"
)

// front writes the card's front matter, YAML that Hugging Face's Hub reads. The language is not known, and so not said.
func (j *job) front(b *strings.Builder, task string) {
	fmt.Fprintf(b, "---\npipeline_tag: %s\n", task)
	if j.Format == "hf" {
		b.WriteString("library_name: transformers\n")
	}
	if base := j.base(); base != "" {
		fmt.Fprintf(b, "base_model: %s\n", yamlText(base))
	}
	b.WriteString(j.license())
	if j.Card != nil && len(j.Card.Data) > 0 {
		b.WriteString("datasets:\n")
		for _, name := range j.Card.Data {
			fmt.Fprintf(b, "- %s\n", yamlText(name))
		}
	}
	b.WriteString("tags:\n- bdia\n---\n")
}

// hubName is the name of a model on the Hub: owner/name.
var hubName = regexp.MustCompile(`^[A-Za-z0-9][\w.-]*/[\w.-]+$`)

// base names the model that the run started from: as the Hub knows it, if its config.json says so.
func (j *job) base() string {
	if j.Card == nil || j.Card.Base == "" {
		return ""
	}
	text, _ := textfile.ReadFile(filepath.Join(j.origin(), "config.json"), maxSigned)
	return cmp.Or(nameOnHub(text), j.Card.Base)
}

// nameOnHub returns the name of a model that its config.json says, if it is one of the Hub.
func nameOnHub(config []byte) string {
	var keys struct {
		Name string `json:"_name_or_path"`
	}
	if json.Unmarshal(config, &keys) == nil && len(keys.Name) <= 200 && hubName.MatchString(keys.Name) {
		return keys.Name
	}
	return ""
}

// license returns the lines on the licence in the card of the model that the run started from.
func (j *job) license() string {
	if hub.RunOf(j.origin()) != "" {
		return ""
	}
	text, err := textfile.ReadFile(filepath.Join(j.origin(), cardFile), maxSigned)
	if err != nil {
		return ""
	}
	return licenseOf(string(text))
}

// licenseKeys are the lines of a card's front matter on its licence.
var licenseKeys = regexp.MustCompile(`(?m)^(license|license_name|license_link): *("[^"\\\n]*"|'[^'\n]*'|[A-Za-z0-9./][^\n:#]*(:[^\s:#][^\n:#]*)*)$`)

// licenseOf returns the lines on the licence in a card's front matter, one of each key.
func licenseOf(card string) string {
	rest, ok := strings.CutPrefix(strings.ReplaceAll(card, "\r\n", "\n"), "---\n")
	front, _, closed := strings.Cut(rest, "\n---")
	if !ok || !closed {
		return ""
	}
	var lines strings.Builder
	seen := map[string]bool{}
	for _, line := range licenseKeys.FindAllString(front, -1) {
		key, _, _ := strings.Cut(line, ":")
		if !seen[key] && len(line) <= 300 && utf8.ValidString(line) && !strings.ContainsFunc(line, unicode.IsControl) {
			seen[key] = true
			lines.WriteString(line + "\n")
		}
	}
	return lines.String()
}

// plainText are texts that YAML takes for texts without quotation marks.
var plainText = regexp.MustCompile(`^[A-Za-z][\w./ -]*$`)

// yamlText is a text in YAML.
func yamlText(s string) string {
	if plainText.MatchString(s) && !strings.HasSuffix(s, " ") {
		return s
	}
	return strconv.Quote(strings.ToValidUTF8(s, "\ufffd"))
}
