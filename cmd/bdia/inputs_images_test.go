package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// placed copies the classes of photos to folders: "Training/cat=red 0-8" are the red images 0 to 7 as Training/cat.
func placed(t *testing.T, items ...string) string {
	t.Helper()
	imageRun(t)
	dir := t.TempDir()
	for _, item := range items {
		at, rest, _ := strings.Cut(item, "=")
		var class string
		var from, to int
		if _, err := fmt.Sscanf(rest, "%s %d-%d", &class, &from, &to); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, at), 0o777); err != nil {
			t.Fatal(err)
		}
		for i := from; i < to; i++ {
			name := fmt.Sprintf("%02d.png", i)
			write(t, filepath.Join(dir, at), name, string(readFile(t, photos(), class, name)))
		}
	}
	return dir
}

// TestImageInputs: folders as people have them, through the program.
func TestImageInputs(t *testing.T) {
	t.Parallel()
	kaggle := placed(t, "Training/glioma=red 0-8", "Training/none=blue 0-8", "Testing/glioma=red 8-12", "Testing/none=blue 8-12")
	unlabelled := placed(t, "train/a=red 0-8", "train/b=blue 0-8", "test=green 0-4")
	third := placed(t, "train/a=red 0-6", "train/b=blue 0-6", "val/a=red 6-8", "val/b=blue 6-8", "test/a=red 8-12", "test/b=blue 8-12")
	littered := placed(t, "up=red 0-12", "side=blue 0-12", "@eaDir/up=red 0-1", "__MACOSX/up=red 0-1", ".ipynb_checkpoints=red 0-1")
	write(t, littered, "up/a.heic", "\x00\x00\x00\x18ftypheic")
	flat := placed(t, "train=red 0-12")
	table := "id,breed\n"
	for i := range 12 {
		table += fmt.Sprintf("%02d,%s\n", i, []string{"pug", "collie"}[i%2])
	}
	write(t, flat, "labels.csv", table)
	for _, c := range []struct {
		dir        string
		train, val float64
		classes    int
		says       []string
	}{
		{kaggle, 16, 8, 2, []string{"The folder Training is the training set, Testing the validation set."}},
		{unlabelled, 14, 2, 2, []string{"without a class folder, in test"}},
		{third, 12, 4, 2, []string{"The folder test, of 8 images, is neither learned nor measured."}},
		{littered, 22, 2, 2, []string{"hidden, or made by the system", "of the format HEIC"}},
		{flat, 10, 2, 2, []string{"The labels are those in labels.csv."}},
	} {
		r := mustCall(t, append([]string{"train", "--data", c.dir, "--dry-run", "--json"}, tinyViT()...)...)
		data := object(t, r)["data"].(map[string]any)
		got := map[string]float64{}
		for _, p := range data["parts"].([]any) {
			got[p.(map[string]any)["name"].(string)] = p.(map[string]any)["samples"].(float64)
		}
		if got["train"] != c.train || got["val"] != c.val || len(data["classes"].([]any)) != c.classes {
			t.Errorf("%v: parts %v, classes %v", c.says, got, data["classes"])
		}
		for _, says := range c.says {
			if !strings.Contains(r.out, says) {
				t.Errorf("it does not say %q:\n%s", says, r.out)
			}
		}
	}
	bad := placed(t, "day/a=red 0-2", "day/b=blue 0-2", "night/a=red 2-4", "night/b=blue 2-4")
	pickles := t.TempDir()
	if err := os.Mkdir(filepath.Join(pickles, "cifar-10-batches-py"), 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, pickles, "cifar-10-batches-py/data_batch_1", "\x80\x02}q\x00")
	for dir, says := range map[string]string{bad: "name them train and val", pickles: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"} {
		r := call(append([]string{"train", "--data", dir}, tinyViT("--dry-run")...)...)
		if r.code != cli.ExitFailure || strings.Count(r.err, "\n") != 1 || !strings.Contains(r.err, says) {
			t.Errorf("exit %d: %s, want %q", r.code, r.err, says)
		}
	}
}

// TestMovedImages: images that have changed are noticed, and a folder that has moved can be named anew.
func TestMovedImages(t *testing.T) {
	t.Parallel()
	data := placed(t, "red=red 0-12", "blue=blue 0-12")
	run := filepath.Join(t.TempDir(), "run")
	mustCall(t, append([]string{"train", "--data", data, "--out", run}, tinyViT()...)...)
	want := object(t, mustCall(t, "eval", run, "--json"))
	going := func(more ...string) result {
		return call(append([]string{"train", "resume", run, "--steps", "26"}, more...)...)
	}

	image := filepath.Join(data, "red", "03.png")
	kept := readFile(t, image)
	if err := os.Remove(image); err != nil {
		t.Fatal(err)
	}
	if r := going(); r.code != cli.ExitFailure || !strings.Contains(r.err, "there were 22 images, now there are 21") {
		t.Errorf("an image is gone: exit %d: %s", r.code, r.err)
	}
	write(t, filepath.Dir(image), "03.png", string(readFile(t, photos(), "green", "03.png")))
	if r := going(); r.code != cli.ExitFailure || !strings.Contains(r.err, "the contents are others") {
		t.Errorf("an image is another: exit %d: %s", r.code, r.err)
	}
	write(t, filepath.Dir(image), "03.png", string(kept))
	moved := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Rename(data, moved); err != nil {
		t.Fatal(err)
	}
	if r := going(); r.code != cli.ExitFailure || !strings.Contains(r.err, data) || !strings.Contains(r.err, "RUN --data FOLDER") {
		t.Errorf("the folder is gone: exit %d: %s", r.code, r.err)
	}
	if got := object(t, mustCall(t, "eval", run, "--json", "--data", moved)); got["loss"] != want["loss"] || got["images"] != want["images"] {
		t.Errorf("measured on the moved images: %v, want %v", got, want)
	}
	other := placed(t, "red=green 0-12", "blue=blue 0-12")
	before := readFile(t, run, "bdia.yaml")
	if r := going("--data", other); r.code != cli.ExitFailure || !strings.Contains(r.err, "not the ones of this run") || string(readFile(t, run, "bdia.yaml")) != string(before) {
		t.Errorf("other images: exit %d: %s", r.code, r.err)
	}
	if r := going("--data", moved); r.code != cli.ExitOK {
		t.Errorf("going on from the new place: exit %d: %s", r.code, r.err)
	}
	if !strings.Contains(string(readFile(t, run, "bdia.yaml")), moved) {
		t.Error("the new place is not kept")
	}
	if _, err := os.Stat(data); !errors.Is(err, os.ErrNotExist) {
		t.Error("the old folder is there again")
	}
}
