package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// writeImages makes a folder of n images of 8x8 pixels for each of three
// classes, told apart by their colour, and returns it.
func writeImages(dir string, n int) error {
	for class, name := range []string{"blue", "green", "red"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o777); err != nil {
			return err
		}
		for i := range n {
			m := image.NewNRGBA(image.Rect(0, 0, 8, 8))
			for at := range 64 {
				c := [3]uint8{uint8(at * i), uint8(at + 9*i), uint8(40 * i)}
				c[2-class] = 255
				m.Set(at%8, at/8, color.NRGBA{c[0], c[1], c[2], 255})
			}
			f, err := os.Create(filepath.Join(dir, name, fmt.Sprintf("%02d.png", i)))
			if err != nil {
				return err
			}
			if err := errors.Join(png.Encode(f, m), f.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// tinyViT are the flags of a vision transformer that trains in an instant.
func tinyViT(more ...string) []string {
	return append([]string{"--task", "image", "--image", "8", "--patch", "4", "--layers", "4", "--heads", "2", "--width", "16", "--mlp", "32", "--batch", "6",
		"--steps", "24", "--warmup", "2", "--lr", "0.01", "--log-every", "1", "--threads", "1"}, more...)
}

// photos is the folder that classified was trained on.
func photos() string { return filepath.Join(scratch, "photos") }

// classified is a finished run of images that tests may read but not change.
var classified = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "classified")
	if err := writeImages(photos(), 12); err != nil {
		return "", err
	}
	var errOut bytes.Buffer
	args := append([]string{"train", "--data", photos(), "--val-fraction", "0.5", "--out", dir}, tinyViT("--flip", "--ema", "0.8", "--stochastic-depth", "0.1")...)
	if run(context.Background(), args, nil, io.Discard, &errOut) != cli.ExitOK {
		return "", fmt.Errorf("training: %s", &errOut)
	}
	return dir, nil
})

// imageRun returns the shared run of images.
func imageRun(t *testing.T) string {
	t.Helper()
	dir, err := classified()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTrainImages(t *testing.T) {
	t.Parallel()
	dir := imageRun(t)
	for _, name := range []string{"bdia.yaml", "config.json", "model.safetensors", "metrics.jsonl", "loss.png", "state/weights.safetensors", "best/config.json", "best/model.safetensors"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: missing or empty (%v)", name, err)
		}
	}
	out := filepath.Join(t.TempDir(), "again")
	r := mustCall(t, "train", "--config", filepath.Join(dir, "bdia.yaml"), "--out", out, "--json")
	m := object(t, r)
	if m["best_val_accuracy"].(float64) < 0.9 || m["val_accuracy"] == nil || m["train_eval_accuracy"] != nil || m["images_left_out"] != 0.0 || m["planned_bytes"] != m["peak_bytes"] {
		t.Errorf("summary %v", m)
	}
	for _, name := range []string{"bdia.yaml", "config.json", "model.safetensors"} {
		if !bytes.Equal(readFile(t, dir, name), readFile(t, out, name)) {
			t.Errorf("%s is not that of the first run", name)
		}
	}
	if !strings.Contains(strings.Join(strings.Fields(r.err), " "), "ViT of 4 blocks, width 16, 2 heads, images of 8 pixels in patches of 4, 3 classes") ||
		!strings.Contains(r.err, "Train on   18 images\nHeld out   18 images\n") || !strings.Contains(r.err, "accuracy ") {
		t.Errorf("progress:\n%s", r.err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(here, photos()) // the same folder by another name
	if err != nil {
		t.Fatal(err)
	}
	longer := mustCall(t, "train", "--resume", out, "--steps", "26", "--stochastic-depth", "0.2", "--data", relative)
	if !strings.Contains(longer.out, "Done: 2 steps (of 26)") || !strings.Contains(longer.out, "bdia classify "+out) {
		t.Errorf("going on to 26 steps: %s", longer.out)
	}
}

func TestEvalImages(t *testing.T) {
	t.Parallel()
	dir := imageRun(t)
	m := object(t, mustCall(t, "eval", dir, "--best", "--json"))
	if m["images"] != 18.0 || m["accuracy"].(float64) < 0.9 || m["top5"] != 1.0 || m["grid"] != "9" || m["grid_minus_float"] == 0.0 {
		t.Errorf("report %v", m)
	}
	hits := 0.0
	for k, row := range m["confusion"].([]any) {
		sum := 0.0
		for _, n := range row.([]any) {
			sum += n.(float64)
		}
		hits += row.([]any)[k].(float64)
		class := m["classes"].([]any)[k].(map[string]any)
		if sum != 6 || class["images"] != 6.0 || class["recall"] != row.([]any)[k].(float64)/6 {
			t.Errorf("class %v, confusion %v", class, row)
		}
	}
	if hits/18 != m["accuracy"] {
		t.Errorf("accuracy %v, %v of 18 on the diagonal", m["accuracy"], hits)
	}
	all := object(t, mustCall(t, "eval", dir, "--best", "--json", "--data", photos()))
	if all["images"] != 36.0 || all["data"] != photos() {
		t.Errorf("36 images were given: %v", all["images"])
	}
	damaged := filepath.Join(t.TempDir(), "damaged")
	if err := os.CopyFS(damaged, os.DirFS(photos())); err != nil {
		t.Fatal(err)
	}
	write(t, damaged, "red/bad.png", "no image")
	if r := call("eval", dir, "--data", damaged); r.code != cli.ExitFailure || !strings.Contains(r.err, "bad.png") || !strings.Contains(r.err, "--on-corrupt skip") {
		t.Errorf("an image that cannot be decoded: exit %d, %s", r.code, r.err)
	}
	rest := object(t, mustCall(t, "eval", dir, "--best", "--json", "--data", damaged, "--on-corrupt", "skip"))
	if rest["images_left_out"] != 1.0 || rest["images"] != 36.0 || rest["loss"] != all["loss"] {
		t.Errorf("without the image that cannot be decoded: %v", rest)
	}
	few := mustCall(t, "eval", dir, "--samples", "5", "--split", "train")
	if !strings.HasPrefix(few.out, "Training images, 5 of 3 classes:\n") || !strings.Contains(few.out, "Confusion") {
		t.Errorf("report for people:\n%s", few.out)
	}
}

func TestGammaSweep(t *testing.T) {
	t.Parallel()
	dir, figure := imageRun(t), filepath.Join(t.TempDir(), "gamma.svg")
	sweep := object(t, mustCall(t, "eval", dir, filepath.Join(dir), "--gamma", "-0.5:0.5:0.25", "--figure", figure, "--json"))["sweep"].([]any)
	points := sweep[0].(map[string]any)["points"].([]any)
	if len(sweep) != 2 || len(points) != 5 {
		t.Fatalf("%d runs, %d points", len(sweep), len(points))
	}
	plain := object(t, mustCall(t, "eval", dir, "--json"))
	losses := map[any]bool{}
	for i, p := range points {
		p := p.(map[string]any)
		if p["gamma"] != -0.5+0.25*float64(i) {
			t.Errorf("gamma %v", p["gamma"])
		}
		if p["gamma"] == 0.0 && (p["loss"] != plain["loss"] || p["accuracy"] != plain["accuracy"]) {
			t.Errorf("with gamma 0 %v, as ordinary transformer %v", p, plain)
		}
		losses[p["loss"]] = true
	}
	if len(losses) != 5 {
		t.Errorf("gamma changes nothing: %v", losses)
	}
	if !strings.Contains(string(readFile(t, figure)), "<svg") {
		t.Error("the figure is no SVG")
	}
	if r := mustCall(t, "eval", dir, "--gamma", "0.3"); strings.Count(r.out, "\n") != 3 {
		t.Errorf("one gamma:\n%s", r.out)
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(imageRun(t), "best")
	one := filepath.Join(photos(), "red", "03.png")
	checkKeys(t, "bdia classify", object(t, mustCall(t, "classify", dir, one, "--json")))
	r := mustCall(t, "classify", dir, one, "--top", "2")
	if lines := strings.Split(r.out, "\n"); lines[0] != one || !strings.HasSuffix(lines[1], "%  red") || len(lines) != 4 {
		t.Errorf("classify prints\n%s", r.out)
	}
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(photos())); err != nil {
		t.Fatal(err)
	}
	write(t, folder, "green/00.png", "no image")
	table := filepath.Join(folder, "out.csv")
	r = call("classify", dir, folder, "--csv", table, "--batch", "5")
	if r.code != cli.ExitFailure || r.out != "" || strings.Count(r.err, "\n") != 2 || !strings.Contains(r.err, "00.png") || !strings.Contains(r.err, "1 of 36 images cannot be read") {
		t.Errorf("exit code %d, %q, %q", r.code, r.out, r.err)
	}
	rows, err := csv.NewReader(bytes.NewReader(readFile(t, table))).ReadAll()
	if err != nil || len(rows) != 1+35 || len(rows[0]) != 1+2*3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	right := 0
	for _, row := range rows[1:] {
		if strings.Contains(row[0], string(filepath.Separator)+row[1]+string(filepath.Separator)) {
			right++
		}
	}
	if right < 33 {
		t.Errorf("%d of 35 images are named right", right)
	}
	// A model that sees the middle half of the side.
	half, whole, middle := t.TempDir(), filepath.Join(folder, "whole.png"), filepath.Join(folder, "middle.png")
	if err := os.CopyFS(half, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	large := image.NewNRGBA(image.Rect(0, 0, 16, 16))
	for at := range large.Pix {
		large.Pix[at] = uint8(7*at) | 0xff*uint8(at%4/3)
	}
	for path, m := range map[string]image.Image{whole: large, middle: large.SubImage(image.Rect(4, 4, 12, 12))} {
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Dir(path), filepath.Base(path), b.String())
	}
	_, all, _ := strings.Cut(mustCall(t, "classify", half, whole).out, "\n")
	_, want, _ := strings.Cut(mustCall(t, "classify", half, middle).out, "\n")
	text := readFile(t, half, "config.json")
	write(t, half, "config.json", strings.Replace(string(text), `"crop_pct": 1,`, `"crop_pct": 0.5,`, 1))
	if _, seen, _ := strings.Cut(mustCall(t, "classify", half, whole).out, "\n"); seen != want || seen == all {
		t.Errorf("of the middle the model makes\n%s\nwant\n%s\nnot, as of all,\n%s", seen, want, all)
	}
	if all := mustCall(t, "classify", dir, photos()); strings.Count(all.out, "\n") != 1+36 {
		t.Errorf("a folder prints\n%s", all.out)
	}
}

func TestVerifyImages(t *testing.T) {
	t.Parallel()
	fresh := []string{"--task", "image", "--image", "8", "--patch", "4", "--layers", "4", "--heads", "2", "--width", "16", "--dropout", "0.1"}
	for name, args := range map[string][]string{"run": {imageRun(t)}, "fresh model": fresh} {
		m := object(t, mustCall(t, append([]string{"verify", "--json", "--threads", "1"}, args...)...))
		if m["mismatched_bits"] != 0.0 || m["off_grid"] != 0.0 || m["gradient_differing_bits"] != 0.0 || m["reconstructed_activations"].(float64) <= 0 {
			t.Errorf("%s: %v", name, m)
		}
		drift := m["revvit_drift"].([]any)
		if last := drift[len(drift)-1].(map[string]any); len(drift) != 4 || last["k"] != 0.0 || !(last["rms"].(float64) > 0 && last["largest"].(float64) > last["rms"].(float64)) {
			t.Errorf("%s: RevViT drifts by %v", name, drift)
		}
		if r := call(append([]string{"verify", "--fault", "side-bit", "--threads", "1"}, args...)...); r.code != cli.ExitFailure {
			t.Errorf("%s: a fault passes", name)
		}
	}
	if r := mustCall(t, append([]string{"verify", "--two-stream"}, fresh...)...); !strings.Contains(r.out, "pair 0") || strings.Contains(r.out, "Exact") {
		t.Errorf("RevViT:\n%s", r.out)
	}
}

func TestPlanImages(t *testing.T) {
	t.Parallel()
	r := mustCall(t, "plan", "--task", "image", "--preset", "vit-paper", "--batch", "128", "--threads", "2")
	for _, want := range []string{"ViT of 6 blocks, width 512,", "recompute         revvit\n", "\nReversible takes 0."} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q in\n%s", want, r.out)
		}
	}
	modes := object(t, mustCall(t, "plan", "--task", "image", "--preset", "vit-paper", "--batch", "128", "--threads", "2", "--json"))["modes"].(map[string]any)
	total := func(mode string) float64 { return modes[mode].(map[string]any)["total_bytes"].(float64) }
	for _, mode := range []string{"reversible", "revvit"} {
		if share := total(mode) / total("store"); share >= 0.365 { // RevViT's in the paper
			t.Errorf("%s takes %.3f of the memory of store", mode, share)
		}
	}
}

// TestWrongImageCalls is TestWrongCalls for images.
func TestWrongImageCalls(t *testing.T) {
	t.Parallel()
	images, text := imageRun(t), trainedRun(t)
	dir := t.TempDir()
	write(t, dir, "truncated.bin", strings.Repeat("\x01", 3073+100))
	write(t, dir, "mislabelled.bin", "\x0b"+strings.Repeat("\x01", 3072))
	for _, name := range []string{"photos", "others"} {
		if err := writeImages(filepath.Join(dir, name), 10); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(dir, "others", "red"), filepath.Join(dir, "others", "pink")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "one", "red"), os.DirFS(filepath.Join(dir, "photos", "red"))); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "image.yaml", "task: image\ndata:\n  tokenizer: char\n")
	write(t, dir, "text.yaml", "task: text\n")
	write(t, dir, "bad.png", "no image")
	train := "train --task image --image 8 --data DIR/photos --out DIR/out --threads 1 "
	var b strings.Builder
	for _, c := range []struct {
		code int
		args string
	}{
		{2, "train --task sound"},
		{2, "train --task image"},
		{2, train + "--tokenizer bpe"},
		{2, train + "--context 64"},
		{2, "train --data DIR/photos --out DIR/out --crop 4"},
		{2, train + "--config DIR/image.yaml"},
		{2, train + "--config DIR/text.yaml"},
		{2, train + "--preset nano"},
		{2, train + "--steps 3 --epochs 2"},
		{2, train + "--epochs -1"},
		{2, train + "--from DIR --preset tiny"},
		{1, train + "--from DIR"},
		{1, train + "--from RUN"},
		{2, train + "--two-stream --gamma 0.5"},
		{2, train + "--image 30"},
		{2, train + "--image 2"},
		{2, train + "--mean 0.5"},
		{2, train + "--mean 0.5,0.5,0.5 --std 0,1,1"},
		{2, train + "--ema 1"},
		{2, train + "--label-smoothing 1"},
		{2, train + "--stochastic-depth 1"},
		{2, train + "--crop -1"},
		{2, train + "--rand-ops 1 --rand-magnitude 31"},
		{2, train + "--erase 2"},
		{2, train + "--mixup -1"},
		{2, train + "--on-corrupt ignore"},
		{2, train + "--sample-every 5"},
		{2, train + "--subset -5"},
		{1, train + "--subset 1000"},
		{1, train + "--test DIR/others"},
		{1, train + "--data DIR/photos/red"},
		{1, train + "--data DIR/one"},
		{1, train + "--data DIR/missing"},
		{1, train + "--data DIR/truncated.bin"},
		{1, train + "--data DIR/mislabelled.bin"},
		{2, "train --resume IMAGES --task text --steps 30"},
		{2, "train --resume IMAGES --steps 30 --patch 2"},
		{2, "train --resume IMAGES --steps 30 --ema 0.9"},
		{2, "train --resume IMAGES --steps 30 --subset 9"},
		{2, "train --resume IMAGES --epochs 30"},
		{2, "eval IMAGES IMAGES"},
		{2, "eval IMAGES --gamma 1.5"},
		{2, "eval IMAGES --gamma 0:0.5"},
		{2, "eval IMAGES --gamma 0:0.5:0.1 --figure gamma.pdf"},
		{2, "eval IMAGES --figure gamma.png"},
		{2, "eval RUN --gamma 0.5"},
		{2, "eval RUN --data DIR/photos"},
		{2, "eval IMAGES --on-corrupt skip"},
		{2, "eval IMAGES --data DIR/photos --on-corrupt ask"},
		{1, "eval IMAGES --data DIR/others"},
		{1, "generate IMAGES"},
		{2, "classify IMAGES"},
		{1, "classify DIR/missing DIR/bad.png"},
		{1, "classify DIR DIR/bad.png"},
		{1, "classify RUN DIR/bad.png"},
		{1, "classify IMAGES DIR/missing.png"},
		{1, "classify IMAGES DIR/bad.png"},
		{2, "classify IMAGES DIR/bad.png --top 0"},
		{2, "classify IMAGES DIR/bad.png --gamma 1"},
		{2, "verify IMAGES --patch 2"},
		{2, "verify --task image --memory store"},
		{2, "plan --task image --image 30"},
		{2, "plan --task image --vocab 5"},
	} {
		args := strings.Fields(strings.NewReplacer("DIR", dir, "RUN", text, "IMAGES", images).Replace(c.args))
		line := failure(t, c.args, c.code, call(args...), dir, text)
		b.WriteString(strings.ReplaceAll(line, images, "IMAGES"))
		if _, err := os.Stat(filepath.Join(dir, "out")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("bdia %s leaves its folder behind", c.args)
			os.RemoveAll(filepath.Join(dir, "out"))
		}
	}
	golden(t, "errors_image", b.String())
}

// TestDamagedImageRuns is TestDamagedRuns for images.
func TestDamagedImageRuns(t *testing.T) {
	t.Parallel()
	run := imageRun(t)
	const resume, readers = "train --resume RUN --steps 30", "eval RUN|classify RUN PHOTOS|verify RUN|train --resume RUN --steps 30"
	var b strings.Builder
	for _, c := range []struct {
		name, file string
		damage     func([]byte) []byte // nil removes the file
		commands   string
	}{
		{"truncated weights", "model.safetensors", cut, readers},
		{"no weights", "model.safetensors", nil, readers},
		{"hostile length of the header", "model.safetensors", hugeHeader, readers},
		{"hostile shape", "model.safetensors", replace("[16,3", "[99,3"), readers},
		{"no weights being trained", "state/weights.safetensors", nil, resume},
		{"model description that is no JSON", "config.json", cut, readers},
		{"no model description", "config.json", nil, "eval RUN|classify RUN PHOTOS"},
		{"hostile width", "config.json", replace(`"embed_dim": 16`, `"embed_dim": 1048576`), "classify RUN PHOTOS"},
		{"hostile image size", "config.json", replace(`"img_size": 8`, `"img_size": 8192`), "classify RUN PHOTOS"},
		{"hostile depth", "config.json", replace(`"depth": 4`, `"depth": 1000000000`), "classify RUN PHOTOS"},
		{"hostile classes", "config.json", replace(`"num_classes": 3`, `"num_classes": 1000000000`), "classify RUN PHOTOS"},
		{"no deviation", "config.json", replace(`"std": [`, `"std": [0, 0, 0], "was": [`), "classify RUN PHOTOS"},
		{"settings of another depth", "bdia.yaml", replace("layers: 4", "layers: 3"), "verify RUN|" + resume},
		{"settings of another patch", "bdia.yaml", replace("patch: 4", "patch: 2"), "verify RUN|" + resume},
		{"settings of text too", "bdia.yaml", replace("task: image", "task: image\nmodel:\n  width: 8"), "eval RUN"},
		{"settings of text", "bdia.yaml", replace("task: image", "task: text"), "eval RUN"},
		{"images gone", "bdia.yaml", replace("photos", "phutos"), "eval RUN|verify RUN|" + resume},
	} {
		dir := filepath.Join(t.TempDir(), "run")
		if err := os.CopyFS(dir, os.DirFS(run)); err != nil {
			t.Fatal(err)
		}
		unlisted(t, dir)
		path := filepath.Join(dir, filepath.FromSlash(c.file))
		old := readFile(t, path)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if c.damage != nil {
			write(t, dir, c.file, string(c.damage(old)))
		}
		fmt.Fprintf(&b, "# %s\n", c.name)
		for _, command := range strings.Split(c.commands, "|") {
			r := call(strings.Fields(strings.NewReplacer("RUN", dir, "PHOTOS", photos()).Replace(command))...)
			line := failure(t, command, cli.ExitFailure, r, filepath.Dir(dir), dir)
			b.WriteString(strings.ReplaceAll(line, scratch, "SCRATCH"))
		}
	}
	golden(t, "damage_image", b.String())
}
