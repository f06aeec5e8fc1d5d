package model

import (
	"fmt"
	"slices"
	"strings"
)

// Targets names the linear layers of a block that have adapters: some of GPTConfig.LoRATargets, for example {"qkv",
// "fc1"} or {"q_proj", "v_proj"}, or {"all"}. In YAML and as the value of a flag it is a text with commas, such as
// qkv,fc1.
type Targets []string

// Layers lists the layers of a model, {"all"} written out.
func (t Targets) Layers(c GPTConfig) []string {
	if slices.Equal(t, Targets{"all"}) {
		return c.LoRATargets()
	}
	return t
}

// String joins the names with commas.
func (t Targets) String() string { return strings.Join(t, ",") }

// Set reads a text with commas. It does not fail: LoRAConfig.Validate judges the names.
func (t *Targets) Set(text string) error {
	*t = nil
	if text == "" {
		return nil
	}
	for name := range strings.SplitSeq(text, ",") {
		*t = append(*t, strings.TrimSpace(name))
	}
	return nil
}

// MarshalYAML returns the text with commas.
func (t Targets) MarshalYAML() (any, error) { return t.String(), nil }

// UnmarshalYAML takes the text with commas, or a list of names.
func (t *Targets) UnmarshalYAML(read func(any) error) error {
	var text string
	err := read(&text)
	if err == nil {
		return t.Set(text)
	}
	if list := []string(nil); read(&list) == nil {
		*t = list
		return nil
	}
	return err
}

// validate refuses an empty list, and names that are unknown or come twice.
func (t Targets) validate(names []string) error {
	if slices.Equal(t, Targets{"all"}) {
		return nil
	}
	known := len(t) > 0
	for i, name := range t {
		known = known && slices.Contains(names, name) && !slices.Contains(t[:i], name)
	}
	if known {
		return nil
	}
	return fmt.Errorf("model: adapters at %.40q; give some of %s, with commas between, or all", t.String(), strings.Join(names, ", "))
}
