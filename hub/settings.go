package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/textfile"
)

// A run's bdia.yaml holds six scalars that a model needs: task, method.grid, tune.separator,
// tune.chat_template, tune.base and engine.precision. They are read by hand, because a YAML library would be
// half of a program that only generates text. The reader takes the block form that runs
// are written in,
//
//	task: completion
//	method:
//	  grid: "9"
//
// and refuses, with a line number, any other form in a place where a wanted key may
// stand: it never guesses. Package train reads the whole file with the YAML library.

const (
	maxSettings = 1 << 14 // bytes of a file of settings, as in package train
	completion  = "completion"
)

// Settings are what a model needs of a run's settings.
type Settings struct {
	Task      string // what the run learned, "completion" for example; empty: there is no run
	Grid      bdia.Grid
	Separator string // between prompt and completion
	Template  bool   // the model's own chat template writes both, in place of the separator
	Base      string // fingerprint of the weights below the run's adapters; empty: not known

	Precision backend.Precision // of the run's matrix products
}

// ErrSettings is wrapped by the error for a bdia.yaml in a form that is not read here.
var ErrSettings = errors.New("not as a run writes it")

// ReadSettings reads the settings of the run directory run. For an empty run, or a folder
// that is no run directory, they are empty, with bdia.NoGrid.
func ReadSettings(run string) (Settings, error) {
	if run == "" {
		return Settings{Grid: bdia.NoGrid}, nil
	}
	path := filepath.Join(run, RunFile)
	text, err := textfile.ReadFile(path, maxSettings)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Settings{Grid: bdia.NoGrid}, nil
	case errors.As(err, new(*textfile.TooLargeError)):
		return Settings{}, fmt.Errorf("%w: %w", err, ErrSettings)
	case err != nil:
		return Settings{}, err
	}
	s, err := parseSettings(string(text))
	if err != nil {
		return Settings{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// wanted are the keys that are read, below their section.
var wanted = map[string][]string{"": {"task"}, "method": {"grid"}, "tune": {"separator", "base", "chat_template"}, lastSection: {"precision"}}

// lastSection is the last one of every run's settings. A file without it is empty, or was cut off.
const lastSection = "engine"

// parseSettings reads the wanted scalars. What is missing has the default of a new run.
func parseSettings(text string) (Settings, error) {
	values, err := scalars(text)
	if err != nil {
		return Settings{}, err
	}
	s := Settings{Task: "text", Grid: bdia.DefaultGrid, Separator: "\n", Base: values[baseSetting]}
	if v, ok := values["task"]; ok {
		s.Task = v
	}
	if v, ok := values["tune.separator"]; ok {
		s.Separator = v
	}
	s.Template = values["tune.chat_template"] == "true"
	if v, ok := values["method.grid"]; ok {
		if s.Grid, err = bdia.ParseGrid(v); err != nil {
			return Settings{}, fmt.Errorf("method.grid: %w", err)
		}
	}
	if v, ok := values[lastSection+".precision"]; ok {
		if err := s.Precision.UnmarshalText([]byte(v)); err != nil {
			return Settings{}, fmt.Errorf("%s.precision: %w", lastSection, err)
		}
	}
	return s, nil
}

// block reads a file of settings line by line.
type block struct {
	values   map[string]string
	sections map[string]bool // that were seen: the wanted ones, and the last
	section  string          // the current one; empty between sections
	indent   int             // of the section's keys; 0: none was seen yet
	scalar   int             // indentation of the wanted scalar on the line above; -1: it was none
}

// baseSetting is where a language model's run keeps the fingerprint of what it started from.
const baseSetting = "tune.base"

// scalars returns the wanted scalars by section and key, "tune.base" for example.
func scalars(text string) (map[string]string, error) {
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("%w: it is not UTF-8", ErrSettings)
	}
	b := block{values: map[string]string{}, sections: map[string]bool{}, scalar: -1}
	for i, line := range strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if i == 0 && line == "---" {
			continue
		}
		if err := b.line(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if !b.sections[lastSection] {
		return nil, fmt.Errorf("%w: it is empty or cut off: it lacks %s, the last section of a run's settings; put a copy of it back", ErrSettings, lastSection)
	}
	return b.values, nil
}

// line takes the next line.
func (b *block) line(line string) error {
	rest := strings.TrimLeft(line, " ")
	indent := len(line) - len(rest)
	if rest == "" || rest[0] == '#' {
		return nil
	}
	if strings.ContainsAny(line, "\r\u0085\u2028\u2029") || rest[0] == '\t' {
		return fmt.Errorf("%w: it has a tab or a line break of another kind", ErrSettings)
	}
	if b.scalar >= 0 && indent > b.scalar {
		return fmt.Errorf("%w: a value goes on here; write it on one line", ErrSettings)
	}
	b.scalar = -1
	if indent == 0 {
		return b.top(rest)
	}
	if wanted[b.section] == nil || b.section == "" {
		return nil
	}
	if b.indent == 0 {
		b.indent = indent
	}
	switch {
	case indent > b.indent:
		return nil // below a key that is not wanted
	case indent < b.indent:
		return fmt.Errorf("%w: indent the keys of %s alike", ErrSettings, b.section)
	}
	return b.key(b.section+".", rest, indent, wanted[b.section])
}

// top takes a line without indentation: a section, or a wanted scalar.
func (b *block) top(text string) error {
	key, value, err := cutKey(text)
	if err != nil {
		return err
	}
	b.section, b.indent = key, 0
	if wanted[key] == nil || key == "" {
		return b.key("", text, 0, wanted[""])
	}
	if b.sections[key] {
		return fmt.Errorf("%w: %s is there twice", ErrSettings, key)
	}
	b.sections[key] = true
	if key == lastSection && strings.HasPrefix(value, "{") && !strings.Contains(value, "precision") {
		return nil // on one line, without anything that is wanted
	}
	if value != "" && value[0] != '#' {
		return fmt.Errorf("%w: write the keys of %s below it, indented, a line each", ErrSettings, key)
	}
	return nil
}

// key takes a line "key: value" and keeps the value if the key is among names.
func (b *block) key(prefix, text string, indent int, names []string) error {
	key, value, err := cutKey(text)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name != key {
			continue
		}
		if _, twice := b.values[prefix+key]; twice {
			return fmt.Errorf("%w: %s%s is there twice", ErrSettings, prefix, key)
		}
		v, err := scalarOf(value)
		if err != nil {
			return fmt.Errorf("%s%s: %w", prefix, key, err)
		}
		b.values[prefix+key], b.scalar = v, indent
	}
	return nil
}

// cutKey splits "key: value"; the key is a plain word.
func cutKey(text string) (key, value string, err error) {
	key, value, ok := strings.Cut(text, ":")
	for _, c := range key {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_')
	}
	if !ok || key == "" || value != "" && value[0] != ' ' {
		return "", "", fmt.Errorf("%w: %.40q is no key with a value; write key: value", ErrSettings, text)
	}
	return key, strings.Trim(value, " "), nil
}

// scalarOf returns the text of a scalar: in double or single quotation marks, or plain.
func scalarOf(value string) (string, error) {
	if value == "" {
		return "", fmt.Errorf("%w: it has no value", ErrSettings)
	}
	switch value[0] {
	case '"':
		quoted, err := strconv.QuotedPrefix(value)
		if err != nil || octal(quoted) {
			return "", fmt.Errorf(`%w: write it in quotation marks as Go does, "\n" for a line break`, ErrSettings)
		}
		text, err := strconv.Unquote(quoted)
		if err != nil || !utf8.ValidString(text) {
			return "", fmt.Errorf(`%w: write it in quotation marks, with \u and four digits for what is not ASCII`, ErrSettings)
		}
		return text, comment(value[len(quoted):])
	case '\'':
		text, rest, ok := cutSingle(value[1:])
		if !ok {
			return "", fmt.Errorf("%w: its quotation mark is not closed", ErrSettings)
		}
		return text, comment(rest)
	}
	if strings.ContainsRune("[]{}&*!|>%@`,?-:", rune(value[0])) || value[0] == '\t' {
		return "", fmt.Errorf("%w: write it in quotation marks", ErrSettings)
	}
	value, _, _ = strings.Cut(value, " #")
	value = strings.TrimRight(value, " ")
	if strings.Contains(value, ": ") || strings.HasSuffix(value, ":") || strings.Contains(value, "\t") || value[0] == '#' || value == "~" || value == "null" {
		return "", fmt.Errorf("%w: write it in quotation marks", ErrSettings)
	}
	return value, nil
}

// octal reports whether a quoted text has an escape of digits, which YAML reads in
// another way.
func octal(quoted string) bool {
	for i := 0; i+1 < len(quoted); i++ {
		if quoted[i] == '\\' {
			i++
			if quoted[i] >= '0' && quoted[i] <= '9' || quoted[i] == '\'' {
				return true
			}
		}
	}
	return false
}

// cutSingle returns the text up to a closing quotation mark and what follows it. Two
// marks stand for one.
func cutSingle(s string) (text, rest string, ok bool) {
	for {
		before, after, found := strings.Cut(s, "'")
		if !found {
			return "", "", false
		}
		text += before
		if !strings.HasPrefix(after, "'") {
			return text, after, true
		}
		text, s = text+"'", after[1:]
	}
}

// comment refuses what follows a scalar and is no comment.
func comment(rest string) error {
	rest, spaced := strings.TrimLeft(rest, " "), strings.HasPrefix(rest, " ")
	if rest == "" || spaced && rest[0] == '#' {
		return nil
	}
	return fmt.Errorf("%w: %.40q follows its value", ErrSettings, rest)
}
