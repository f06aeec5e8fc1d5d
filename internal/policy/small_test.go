package policy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
)

// smallProgram opens a model folder and continues a text.
const smallProgram = `package main

import (
	"fmt"
	"os"

	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
)

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir, text string) error {
	folder, err := hub.Open(dir, hub.Options{})
	if err != nil {
		return err
	}
	prompt, err := folder.Encode(text)
	if err != nil {
		return err
	}
	o := generate.DefaultOptions()
	o.Grid = folder.Grid
	m, err := folder.GPT(backend.Options{}, func(m *model.GPT) error { return generate.Rehearse(m, len(prompt), o) })
	if err != nil {
		return err
	}
	defer m.Close()
	text, err = generate.Text(m.GPT, folder.Tokenizer, prompt, o)
	fmt.Println(text)
	return err
}
`

// TestUsingModelsIsSmall checks that a program that opens a folder and generates text
// needs neither YAML nor plots, and stays below 8 MB.
func TestUsingModelsIsSmall(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command")
	}
	const most = 8.2e6 // bytes; 0.2e6 are chat templates, 0.4e6 how Unicode composes characters, 0.3e6 kernels of bfloat16 and of the families
	dir := t.TempDir()
	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	if err := os.WriteFile(source, []byte(smallProgram), 0o666); err != nil {
		t.Fatal(err)
	}
	call := func(args ...string) string {
		t.Helper()
		c := exec.Command("go", args...)
		c.Dir = testkit.RepoRoot(t)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	for _, p := range strings.Fields(call("list", "-deps", source)) {
		for _, heavy := range []string{"github.com/goccy", "gonum.org", "golang.org/x/image", modulePath + "/train", modulePath + "/metric", modulePath + "/data/images"} {
			if p == heavy || within(p, heavy) {
				t.Errorf("a program that uses models needs %s", p)
			}
		}
	}
	call("build", "-o", program, source)
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", info.Size())
	if info.Size() > most {
		t.Errorf("a program that uses models has %d bytes, more than %d", info.Size(), int(most))
	}
}
