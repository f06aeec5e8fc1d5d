package policy

import (
	"bytes"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadmeProgramRuns copies the program in README.md into a module of its own, as a reader does, and runs it.
func TestReadmeProgramRuns(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command")
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	programs := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(readme, -1)
	if len(programs) != 1 {
		t.Fatalf("%d pieces of Go, want one whole program", len(programs))
	}
	program := programs[0][1]
	if tidy, err := format.Source(program); err != nil || !bytes.Equal(tidy, program) {
		t.Errorf("gofmt would change the program, %v", err)
	}
	repository, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{"main.go": program, "go.sum": sums, "go.mod": []byte("module hello\n\ngo 1.26.0\n\nrequire " +
		modulePath + " v0.0.0\n\nreplace " + modulePath + " => " + repository + "\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, args ...string) string {
		t.Helper()
		c := exec.Command(name, args...)
		c.Dir, c.Env = dir, append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	run("go", "build", "-o", "hello", ".")
	run("go", "vet", ".")
	out := run(filepath.Join(dir, "hello"))
	losses, _, _ := strings.Cut(out, ";")
	if !strings.HasPrefix(losses, "loss ") || !strings.Contains(string(readme), "`"+losses+"`") {
		t.Errorf("it prints %q, and the README something else", out)
	}
	if _, err := os.Stat(filepath.Join(dir, "run", "best")); err != nil {
		t.Error(err)
	}
}
