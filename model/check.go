package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/backend"
)

// presetNames lists the names of presets by size, smallest first, and of one size by name.
func presetNames[C any](presets map[string]C, size func(C) int) []string {
	names := make([]string, 0, len(presets))
	for n := range presets {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(size(presets[a])-size(presets[b]), strings.Compare(a, b))
	})
	return names
}

// preset looks a preset up.
func preset[C any](presets map[string]C, name string, names []string) (C, error) {
	c, ok := presets[name]
	if !ok {
		return c, fmt.Errorf("model: unknown preset %q; there are %s", name, strings.Join(names, ", "))
	}
	return c, nil
}

// Sizes beyond these are taken for mistakes (or hostile files) rather than
// models: they keep every index within range.
const (
	maxDim    = 1 << 20
	maxLayers = 1 << 16
)

// SettingError is the error for a setting with which there can be no model. Who read it from a file of other software
// knows its name there.
type SettingError struct {
	Setting string // "width", "kv_heads" or "rope.factor" for example
	Value   any
	Reason  string // and how to mend it: "it must be positive"
}

// Error names the setting and its value.
func (e *SettingError) Error() string {
	return fmt.Sprintf("model: %s is %v; %s", e.Setting, e.Value, e.Reason)
}

func inRange(name string, v, most int) error {
	if v < 1 || v > most {
		return &SettingError{name, v, fmt.Sprintf("it must be from 1 to %d", most)}
	}
	return nil
}

// checkBlocks returns an error for impossible sizes of a stack of blocks.
func checkBlocks(layers, heads, width, mlp int) error {
	if err := cmp.Or(inRange("layers", layers, maxLayers), inRange("heads", heads, maxDim),
		inRange("width", width, maxDim), inRange("MLP width", mlp, 8*maxDim)); err != nil {
		return err
	}
	if width%heads != 0 {
		return &SettingError{"width", width, fmt.Sprintf("it is not divisible by %d heads; %s", heads, nearestWidths(width, heads))}
	}
	return nil
}

// checkLimits returns an error for attention that is too large for a device: heads over positions,
// with dropout of probability p.
func checkLimits(l backend.Limits, width, heads, positions int, p float64) error {
	if d := width / heads; l.HeadWidth > 0 && d > l.HeadWidth {
		return fmt.Errorf("model: heads of width %d (%d/%d) are wider than %d, the most that the device can do; use more heads", d, width, heads, l.HeadWidth)
	}
	weights := int64(heads) * int64(positions) * int64((positions+63)&^63)
	if p > 0 && l.AttentionWeights > 0 && weights > l.AttentionWeights {
		return fmt.Errorf("model: %d heads over %d positions have %d attention weights a sample, and the device can drop out among %d; "+
			"use fewer positions or no attention dropout", heads, positions, weights, l.AttentionWeights)
	}
	return nil
}

// nearestWidths suggests widths that the heads divide.
func nearestWidths(width, heads int) string {
	low := width / heads * heads
	if low == 0 {
		return fmt.Sprintf("use %d", heads)
	}
	return fmt.Sprintf("use %d or %d", low, low+heads)
}

func checkDropouts(embedding, attention, residual float64) error {
	return cmp.Or(checkProbability("embedding dropout", embedding), checkProbability("attention dropout", attention),
		checkProbability("residual dropout", residual))
}

func checkProbability(name string, p float64) error {
	if !(p >= 0 && p < 1) {
		return &SettingError{name, p, "it must be at least 0 and below 1"}
	}
	return nil
}

// checkEpsilon checks the effective epsilon; given is the configured one.
func checkEpsilon(given, effective float64, standard string) error {
	if e := float32(effective); !(e > 0 && e <= 1) {
		return &SettingError{"layer norm epsilon", given, fmt.Sprintf("it must be positive (0 means %s) and at most 1", standard)}
	}
	return nil
}
