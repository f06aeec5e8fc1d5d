package main

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// zipFolder writes the files of a folder into an archive.
func zipFolder(t *testing.T, dir, archive string) {
	t.Helper()
	f, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	if err := z.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestOtherData: what data are is seen in them, and a command that cannot learn them names the one that can.
func TestOtherData(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"texts", "tables", "sets", "packed", "model"} {
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"texts/a.txt", "texts/b.md"} {
		write(t, ".", name, prose(40))
	}
	for _, name := range []string{"tables/train.csv", "tables/test.csv"} {
		write(t, ".", name, "mr,ref\nname[A],A is.\n")
	}
	write(t, ".", "model/config.json", "{}")
	write(t, ".", "model/model.safetensors", "")
	write(t, ".", "a.en", "one\ntwo\nthree\n")
	write(t, ".", "a.fr", "un\ndeux\ntrois\n")
	if err := writeImages("photos", 4); err != nil {
		t.Fatal(err)
	}
	zipFolder(t, "photos", "photos.zip")
	zipFolder(t, "photos", "sets/train.zip")
	zipFolder(t, "photos", "sets/val.zip")
	zipFolder(t, "texts", "texts.zip")
	zipFolder(t, "texts", "packed/texts.zip")
	found, err := filepath.Glob("photos/*/*")
	if err != nil || len(found) == 0 {
		t.Fatal(found, err)
	}
	for _, c := range []struct {
		args, says string
		code       int
	}{
		{"inspect photos", ": images", cli.ExitOK},
		{"inspect photos.zip", ": images", cli.ExitOK},
		{"inspect sets", ": images", cli.ExitOK},
		{"inspect texts", ": text", cli.ExitOK},
		{"inspect texts.zip", ": text", cli.ExitOK},
		{"inspect packed", ": text", cli.ExitOK},
		{"inspect tables", "name one to train on", cli.ExitFailure},
		{"inspect model", "inspect data as this model reads them with --from model", cli.ExitFailure},
		{"inspect gpt2", "there is no file or folder gpt2, and bdia downloads nothing", cli.ExitFailure},
		{"inspect " + found[0], "is one image; name a folder", cli.ExitFailure},
		{"inspect --source a.en --target a.fr", "a.en and a.fr: translation", cli.ExitOK},
		{"inspect --source a.en", "name both", cli.ExitUsage},
		{"train text --dry-run --data photos", "bdia train images --data photos", cli.ExitFailure},
		{"train text --dry-run --data photos.zip", "bdia train images --data photos.zip", cli.ExitFailure},
		{"train text --dry-run --data sets", "bdia train images --data sets", cli.ExitFailure},
		{"train text --dry-run --data " + found[0], "is an image, and no text", cli.ExitFailure},
		{"train images --dry-run --data texts", "bdia train text --data texts", cli.ExitFailure},
		{"train images --dry-run --data texts.zip", "bdia train text --data texts.zip", cli.ExitFailure},
	} {
		r := call(strings.Fields(c.args)...)
		if text := strings.Join(strings.Fields(r.out+r.err), " "); r.code != c.code || !strings.Contains(text, c.says) {
			t.Errorf("bdia %s: exit code %d, %s", c.args, r.code, text)
		}
	}
}
