package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestDocumentsNameCommands: every command line of the README, the documents and the examples of the help has a command
// and flags that exist, with values and arguments that the command takes.
func TestDocumentsNameCommands(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, file := range append(files, "../../README.md") {
		text := string(readFile(t, filepath.Dir(file), filepath.Base(file)))
		for _, line := range commandLines(text) {
			lines++
			checkCommandLine(t, filepath.Base(file), line)
		}
		for _, m := range inlineCommand.FindAllStringSubmatch(text, -1) {
			lines++
			checkFlagNames(t, filepath.Base(file), strings.Fields(m[1]))
		}
	}
	if lines < 80 {
		t.Errorf("%d command lines found in the documents; there should be more", lines)
	}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, line := range commandLines(c.Example) {
			checkCommandLine(t, c.CommandPath()+" --help", line)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot())
}

// commandStart is what may stand before bdia in a line of commands; inlineCommand is a command within a sentence.
var (
	commandStart  = regexp.MustCompile(`^ {2,}(?:.* \| |run\(\) \{ |go run \./cmd/)?bdia ([a-z].*)$`)
	inlineCommand = regexp.MustCompile("`bdia ([a-z][^`]*)`")
	shellWord     = regexp.MustCompile(`(?:\$?'[^']*'|"[^"]*"|[^\s'"])+`)
)

// commandLines returns the command lines of an indented text, without bdia, and with the lines that go on joined.
func commandLines(text string) (list []string) {
	for _, line := range strings.Split(strings.ReplaceAll(text, "\\\n", " "), "\n") {
		if m := commandStart.FindStringSubmatch(line); m != nil {
			list = append(list, m[1])
		}
	}
	return list
}

// wordsOf returns what the program gets of a command line.
func wordsOf(line string) (words []string) {
	line, _, _ = strings.Cut(line, " #")
	for _, w := range shellWord.FindAllString(line, -1) {
		switch {
		case w == "|" || w == "<" || strings.HasSuffix(w, ";"):
			return words
		case w == "..." || w == "&" || strings.HasPrefix(w, `"${@`): // the shell's
		case strings.HasPrefix(w, "$") && !strings.HasPrefix(w, "$'"):
			words = append(words, "1")
		default:
			words = append(words, strings.Trim(w, `[]$'"`))
		}
	}
	return words
}

func checkCommandLine(t *testing.T, where, line string) {
	t.Helper()
	words, root := wordsOf(line), newRoot()
	c := called(root, words)
	if c == nil || c == root {
		t.Errorf("%s: bdia %s: no such command", where, line)
		return
	}
	c.InitDefaultHelpFlag()
	err := c.ParseFlags(argumentsOf(c, words))
	if err == nil && c.Args != nil {
		err = c.Args(c, c.Flags().Args())
	}
	if err != nil {
		t.Errorf("%s: bdia %s: %v", where, line, err)
	}
}

// argumentsOf returns what follows the name of c in words.
func argumentsOf(c *cobra.Command, words []string) []string {
	for _, name := range strings.Fields(c.CommandPath())[1:] {
		if len(words) > 0 && words[0] == name {
			words = words[1:]
		}
	}
	return words
}

// checkFlagNames checks words of a sentence, which may leave out what a command line needs.
func checkFlagNames(t *testing.T, where string, words []string) {
	t.Helper()
	root := newRoot()
	c := called(root, words)
	if c == nil || c == root {
		t.Errorf("%s: bdia %s: no such command", where, strings.Join(words, " "))
		return
	}
	c.InitDefaultHelpFlag()
	for _, w := range words {
		if name, ok := strings.CutPrefix(w, "--"); ok {
			if name, _, _ = strings.Cut(name, "="); c.Flags().Lookup(name) == nil {
				t.Errorf("%s: bdia %s: %s has no --%s", where, strings.Join(words, " "), c.CommandPath(), name)
			}
		}
	}
}
