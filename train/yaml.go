package train

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/bdia-go/bdia/internal/textfile"
)

// Bounds of a configuration file. The YAML library takes time and memory that
// grow with the square of the nesting, so brackets, which settings do not need,
// are counted before it sees the text.
const (
	maxConfig   = 1 << 14 // bytes
	maxBrackets = 32
)

// ReadConfig sets the settings that the YAML file at path names and returns the task with them: t, or one of defaults
// if the file names another task. Unknown keys are errors, and settings of another task are ErrCombination. On an error
// t keeps its settings. It does not validate.
func ReadConfig(path string, t Task) (Task, error) {
	text, err := readText(path, textfile.ReadStream)
	if err != nil {
		return nil, err
	}
	if t, err = readSettings(text, t, New); err != nil {
		return nil, fmt.Errorf("train: %s: %w", path, err)
	}
	return t, nil
}

// ReadRun returns the settings of a run; path is its bdia.yaml. Settings that an older version did not write are what
// they were then, and none is open (OpenError). A file that is empty or ends too early is an error. It does not
// validate.
func ReadRun(path string) (Task, error) {
	t, _, err := readRun(path)
	return t, err
}

// readRun is ReadRun, which also returns the text.
func readRun(path string) (t Task, text []byte, err error) {
	if text, err = readOwn(path); err != nil {
		return nil, nil, err
	}
	t, err = readSettings(text, nil, func(name string) (Task, error) {
		t, err := New(name)
		if err == nil {
			Assume(t)
			c := t.Common()
			c.Loop.CheckEvery, c.Loop.Keep, c.Optimizer.TableBits = 0, 0, 0
		}
		return t, err
	})
	if err == nil {
		err = cmp.Or(complete(text), Settled(t))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("train: %s: %w", path, err)
	}
	return t, text, nil
}

// lastSection is the last one of every run's settings.
const lastSection = "engine"

// complete fails if text, which has been read, lacks the last section of a run's settings.
func complete(text []byte) error {
	var sections map[string]any
	if err := yaml.Unmarshal(text, &sections); err != nil {
		return errors.New(yamlMessage(err))
	}
	if _, ok := sections[lastSection]; !ok {
		return fmt.Errorf("it is empty or cut off: it lacks %s, the last section of a run's settings; put a copy of it back", lastSection)
	}
	return nil
}

// readTask reads a complete configuration, and returns its text too. A file that names no task is of text, as the first
// version wrote it.
func readTask(path string) (Task, []byte, error) {
	t, text, err := readRun(path)
	if err != nil {
		return nil, nil, err
	}
	if err := t.Validate(); err != nil {
		return nil, nil, fmt.Errorf("train: %s: %w", path, err)
	}
	return t, text, nil
}

// defaultTask is the task of a file that names none.
const defaultTask = "text"

// readOwn reads the settings of a run.
func readOwn(path string) ([]byte, error) { return readText(path, textfile.ReadFile) }

// readText reads a file that may be a configuration.
func readText(path string, read func(path string, most int64) ([]byte, error)) ([]byte, error) {
	text, err := read(path, maxConfig)
	switch {
	case errors.As(err, new(*textfile.TooLargeError)):
		return nil, fmt.Errorf("train: %w; is it a configuration?", err)
	case err != nil:
		return nil, fmt.Errorf("train: %w", err)
	case bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > maxBrackets:
		return nil, fmt.Errorf("train: %s has more than %d brackets; is it a configuration?", path, maxBrackets)
	}
	return text, nil
}

// readSettings sets the settings that text names.
func readSettings(text []byte, t Task, fresh func(name string) (Task, error)) (Task, error) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, errors.New(yamlMessage(err))
	}
	var body ast.Node
	if len(file.Docs) > 0 {
		body = file.Docs[0].Body
	}
	sections, name, err := split(body)
	if err != nil {
		return nil, err
	}
	if t == nil || name != "" && name != t.Name() {
		if t, err = fresh(cmp.Or(name, defaultTask)); err != nil {
			return nil, err
		}
	}
	if sections == nil {
		return t, nil
	}
	config := reflect.ValueOf(t.Config()).Elem()
	if err := dropOthers(sections, config.Type(), t.Name()); err != nil {
		return nil, err
	}
	read := reflect.New(config.Type())
	read.Elem().Set(config)
	if namesGamma(sections) {
		read.Elem().FieldByName("Method").FieldByName("Ramp").SetZero()
	}
	if err := yaml.NodeToValue(sections, read.Interface(), yaml.Strict()); err != nil {
		return nil, errors.New(yamlMessage(err))
	}
	if err := wholeNumbers(text, config.Type()); err != nil {
		return nil, err
	}
	config.Set(read.Elem())
	return t, nil
}

// namesGamma reports a file with a law of gamma. Then the default's ramp is none of it.
func namesGamma(sections *ast.MappingNode) bool {
	var file struct{ Method map[string]any }
	if yaml.NodeToValue(sections, &file) != nil {
		return false // which the strict reading tells
	}
	_, gamma := file.Method["gamma"]
	_, ramp := file.Method["ramp"]
	return gamma || ramp
}

// split takes the name of the task off the sections of a file; nil if there are none.
func split(body ast.Node) (sections *ast.MappingNode, task string, err error) {
	switch body := body.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
		return nil, "", nil
	case *ast.MappingNode:
		sections = body
	default:
		return nil, "", errors.New("it has no sections of settings")
	}
	sections.Values = slices.DeleteFunc(sections.Values, func(v *ast.MappingValueNode) bool {
		if v.Key.String() != "task" {
			return false
		}
		if failed := yaml.NodeToValue(v.Value, &task, yaml.Strict()); failed != nil {
			err = errors.New(yamlMessage(failed))
		}
		return true
	})
	if len(sections.Values) == 0 {
		sections = nil
	}
	return sections, task, err
}

// taskSections are the sections that some tasks have, now or in earlier versions, which wrote them for others too.
var taskSections = []string{"data", "model", "tune", "images", "augment", "pixels", "vit", "pairs", "seq2seq"}

// dropOthers removes the sections of other tasks. They have to be zero (ErrCombination).
func dropOthers(sections *ast.MappingNode, config reflect.Type, task string) (err error) {
	own := map[string]bool{}
	for _, f := range reflect.VisibleFields(config) {
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		own[key] = true
	}
	sections.Values = slices.DeleteFunc(sections.Values, func(v *ast.MappingValueNode) bool {
		key := v.Key.String()
		if own[key] || !slices.Contains(taskSections, key) {
			return false
		}
		var value any
		if yaml.NodeToValue(v.Value, &value) != nil || !isZero(value) {
			err = fmt.Errorf("%w: settings of another task beside task %s: %s", ErrCombination, task, key)
		}
		return true
	})
	return err
}

// isZero reports a value of YAML without any content but zeros.
func isZero(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, one := range v {
			if !isZero(one) {
				return false
			}
		}
		return true
	case []any:
		return !slices.ContainsFunc(v, func(one any) bool { return !isZero(one) })
	}
	return v == nil || reflect.ValueOf(v).IsZero()
}

// marshal is the content of bdia.yaml for t.
func marshal(t Task) ([]byte, error) {
	settings, err := yaml.Marshal(t.Config())
	if err != nil {
		return nil, fmt.Errorf("train: %s: %w", configFile, err)
	}
	return append([]byte("task: "+t.Name()+"\n"), settings...), nil
}

// wholeNumbers refuses fractions in settings that are whole numbers, for which the YAML library would cut them off. The
// text has been read once.
func wholeNumbers(text []byte, config reflect.Type) error {
	var sections map[string]any
	if err := yaml.Unmarshal(text, &sections); err != nil {
		return nil // not by section and key, so nothing was set
	}
	for _, section := range reflect.VisibleFields(config) {
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
		return fmt.Sprintf("[%d:%d] %.80q is not %s", wrong.Token.Position.Line, wrong.Token.Position.Column, wrong.Token.Value, kindName(wrong.DstType))
	case errors.As(err, &large) && large.Token != nil:
		return fmt.Sprintf("[%d:%d] %.80s is out of range", large.Token.Position.Line, large.Token.Position.Column, large.SrcNum)
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return textfile.Brief(errors.New(line)).Error()
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
