package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A story is a page of docs that takes a reader from his data to a result. Its commands run here, in order and in one
// folder, with the data that prepare makes and with flags that make each of them small.
type story struct {
	page    string
	prepare func(t *testing.T, dir string)
	small   map[string]string // flags to add, by the words that a command begins with; the longest fit counts
	fails   []string          // lines that end with an exit code above 0, as the page says
	want    []string          // what the commands write somewhere
}

// runStory runs the indented lines of a page with sh, which gets this program as bdia. What stands in fences is not run:
// git and llama-cli, for example.
func runStory(t *testing.T, s story) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs every command of a page")
	}
	sh, err := exec.LookPath("sh")
	if err == nil {
		_, err = exec.LookPath("iconv")
	}
	if err != nil {
		t.Skip(err)
	}
	dir, bin := t.TempDir(), t.TempDir()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	wrapper := fmt.Sprintf("#!/bin/sh\n%s=1 exec '%s' \"$@\"\n", asProgram, program)
	if err := os.WriteFile(filepath.Join(bin, "bdia"), []byte(wrapper), 0o777); err != nil {
		t.Fatal(err)
	}
	s.prepare(t, dir)
	lines := storyLines(t, s)
	if len(lines) < 5 {
		t.Fatalf("%s has %d commands", s.page, len(lines))
	}
	script := "set -ex\n" + strings.Join(lines, "\n")
	c := exec.CommandContext(t.Context(), sh, "-c", script)
	var out bytes.Buffer
	c.Dir, c.Stdout, c.Stderr = dir, &out, &out
	c.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	if err := c.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", s.page, err, &out)
	}
	for _, want := range s.want {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s: nothing says %q:\n%s", s.page, want, &out)
		}
	}
}

// storyLines returns the shell's lines of a page: its indented lines.
func storyLines(t *testing.T, s story) (lines []string) {
	text := strings.ReplaceAll(string(readFile(t, "../../docs", s.page)), "\\\n", " ")
	for _, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "    ") {
			continue
		}
		line = s.smaller(strings.TrimSpace(line))
		if slices.Contains(s.fails, line) {
			line = "! " + line
		}
		lines = append(lines, line)
	}
	return lines
}

// smaller adds the flags of a small run to the bdia command of a line, before what the shell does with it.
func (s story) smaller(line string) string {
	best := ""
	for words := range s.small {
		if strings.HasPrefix(line, "bdia "+words) && len(words) > len(best) {
			best = words
		}
	}
	if best == "" {
		return line
	}
	line, _, _ = strings.Cut(line, "  #")
	command, shell := line, ""
	for _, end := range []string{" | ", " > ", " || ", " && "} {
		if i := strings.Index(line, end); i >= 0 && i < len(command) {
			command, shell = line[:i], line[i:]
		}
	}
	return command + " " + s.small[best] + shell
}
