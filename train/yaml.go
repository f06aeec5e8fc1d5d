package train

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
)

// Bounds of a configuration file. The YAML library takes time and memory that
// grow with the square of the nesting, so brackets, which settings do not need,
// are counted before it sees the text.
const (
	maxConfig   = 1 << 14 // bytes
	maxBrackets = 32
)

// readConfig reads a complete configuration.
func readConfig(path string) (Config, error) {
	cfg := DefaultConfig()
	if err := ReadConfig(path, &cfg); err != nil {
		return cfg, err
	}
	if err := cfg.Validate(); err != nil {
		return cfg, fmt.Errorf("train: %s: %w", path, err)
	}
	return cfg, nil
}

// ReadConfig sets the fields of cfg that the YAML file at path names; where it
// names another task, the others are that one's defaults. Unknown keys are
// errors. It does not validate.
func ReadConfig(path string, cfg *Config) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return fmt.Errorf("train: %s: %w", path, err)
	}
	if len(text) > maxConfig {
		return fmt.Errorf("train: %s is larger than %d bytes; is it a configuration?", path, maxConfig)
	}
	if bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > maxBrackets {
		return fmt.Errorf("train: %s has more than %d brackets; is it a configuration?", path, maxBrackets)
	}
	read := *cfg
	var kind struct {
		Task Task `yaml:"task"`
	}
	if err := yaml.Unmarshal(text, &kind); err == nil && kind.Task != "" && kind.Task != cfg.Task {
		read = Default(kind.Task)
	}
	if err := yaml.UnmarshalWithOptions(text, &read, yaml.Strict()); err != nil {
		return fmt.Errorf("train: %s: %s", path, yamlMessage(err))
	}
	if err := wholeNumbers(text); err != nil {
		return fmt.Errorf("train: %s: %w", path, err)
	}
	if !read.Equal(read.ForTask()) {
		return fmt.Errorf("train: %s: %w: settings of another task beside task %s", path, ErrCombination, read.Task)
	}
	if !read.Equal(Config{}) { // what a file without settings makes of it
		*cfg = read
	}
	return nil
}

// wholeNumbers refuses fractions in settings that are whole numbers, for which
// the YAML library would cut them off. The text has been read once.
func wholeNumbers(text []byte) error {
	var sections map[string]any
	if err := yaml.Unmarshal(text, &sections); err != nil {
		return nil // not by section and key, so nothing was set
	}
	for _, section := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if section.Type.Kind() != reflect.Struct {
			continue
		}
		at, _, _ := strings.Cut(section.Tag.Get("yaml"), ",")
		set, _ := sections[at].(map[string]any)
		for _, f := range reflect.VisibleFields(section.Type) {
			key := f.Tag.Get("yaml")
			v, ok := set[key].(float64)
			if ok && kindName(f.Type) == "a whole number" && v != math.Trunc(v) {
				return fmt.Errorf("%s.%s is %v, not a whole number", at, key, v)
			}
		}
	}
	return nil
}

// yamlMessage is err as one line, without its picture of the source and without
// names of Go types.
func yamlMessage(err error) string {
	var wrong *yaml.TypeError
	var large *yaml.OverflowError
	switch {
	case errors.As(err, &wrong) && wrong.Token != nil:
		return fmt.Sprintf("[%d:%d] %q is not %s", wrong.Token.Position.Line, wrong.Token.Position.Column, wrong.Token.Value, kindName(wrong.DstType))
	case errors.As(err, &large) && large.Token != nil:
		return fmt.Sprintf("[%d:%d] %s is out of range", large.Token.Position.Line, large.Token.Position.Column, large.SrcNum)
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// kindName names a type of setting for people.
func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.Struct:
		return "a section of settings"
	}
	return "a text"
}
