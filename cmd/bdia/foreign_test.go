package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/format/safetensors"
)

// shard cuts the weights of the model folder dir into n files with an index.
func shard(t *testing.T, dir string, n int) {
	t.Helper()
	path := filepath.Join(dir, "model.safetensors")
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	names, index := f.Names(), map[string]string{}
	for k := range n {
		file := fmt.Sprintf("model-%05d-of-%05d.safetensors", k+1, n)
		var infos []safetensors.Info
		for _, name := range names[len(names)*k/n : len(names)*(k+1)/n] {
			info, _ := f.Info(name)
			infos, index[name] = append(infos, info), file
		}
		var b bytes.Buffer
		w, err := safetensors.NewWriter(&b, infos, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range infos {
			data, err := f.Bytes(info.Name)
			if err == nil {
				err = w.Write(info.Name, data)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		write(t, dir, file, b.String())
	}
	text, err := json.Marshal(map[string]any{"metadata": map[string]int{"total_size": 1}, "weight_map": index})
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "model.safetensors.index.json", string(text))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// TestForeignFolders: a folder in several files does what it does in one, and what
// is wrong with a folder is said in one line that helps.
func TestForeignFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	exported(t, "--from", trainedRun(t), "--format", "hf", "--dtype", "bf16", "--out", whole)
	folder := func(name string, change func(dir string)) string {
		to := filepath.Join(dir, name)
		if err := os.CopyFS(to, os.DirFS(whole)); err != nil {
			t.Fatal(err)
		}
		change(to)
		return to
	}
	edit := func(file, old, new string) func(string) {
		return func(dir string) { write(t, dir, file, strings.Replace(string(readFile(t, dir, file)), old, new, 1)) }
	}
	remove := func(name string) func(string) {
		return func(dir string) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	sharded := folder("sharded", func(dir string) { shard(t, dir, 3) })
	generate := func(dir string) result {
		return call("generate", "--from", dir, "--prompt-ids", "1,2,3", "--print-ids", "--greedy", "--max-tokens", "12", "--threads", "1")
	}
	if a, b := generate(whole), generate(sharded); a.code != cli.ExitOK || a != b {
		t.Errorf("in one file %+v, in three %+v", a, b)
	}
	again := filepath.Join(dir, "again")
	if r := exported(t, "--from", sharded, "--format", "hf", "--out", again); r.DType != "bf16" || r.FloatFile != 0 {
		t.Errorf("%+v", r)
	}
	if a, b := tensorsOf(t, whole), tensorsOf(t, again); fmt.Sprint(a) != fmt.Sprint(b) {
		t.Error("of three files, other tensors came out than of one")
	}
	for _, tc := range []struct {
		dir  string
		says []string
	}{
		{folder("lost", func(dir string) { shard(t, dir, 3); remove("model-00002-of-00003.safetensors")(dir) }), []string{"model-00002-of-00003.safetensors", "does not exist", "index.json names it"}},
		{folder("astray", func(dir string) {
			shard(t, dir, 2)
			edit("model.safetensors.index.json", "model-00001-of-00002.safetensors", "../x.safetensors")(dir)
		}), []string{"index.json", "../x.safetensors", "same folder"}},
		{folder("pickled", func(dir string) {
			remove("model.safetensors")(dir)
			write(t, dir, "pytorch_model.bin", "PK")
		}), []string{"pytorch_model.bin", "only safetensors are read", "python3 -c"}},
		{folder("gemma", edit("config.json", `"gpt2"`, `"gemma3"`)), []string{"unsupported model", `"gemma3"`, "gpt2"}},
		{folder("integers", edit("model.safetensors", "BF16", "I16 ")), []string{"model.safetensors"}},
		{folder("small", edit("config.json", `"vocab_size": 24`, `"vocab_size": 23`)), []string{"tokenizer has 24 tokens", "23"}},
		{folder("deep", edit("config.json", `"n_layer": 4`, `"n_layer": 3`)), []string{"more than 3 blocks"}},
	} {
		for _, r := range []result{generate(tc.dir), call("export", "--from", tc.dir, "--format", "hf", "--out", filepath.Join(dir, "none")),
			call("finetune", "--from", tc.dir, "--data", filepath.Join(scratch, "text.txt"), "--out", filepath.Join(dir, "none"), "--threads", "1")} {
			if r.code != cli.ExitFailure || strings.Count(r.err, "bdia: ") != 1 {
				t.Errorf("%s: exit code %d, %s", tc.dir, r.code, r.err)
			}
			for _, s := range tc.says {
				if !strings.Contains(r.err, s) {
					t.Errorf("%s: %q does not say %q", tc.dir, r.err, s)
				}
			}
		}
	}
}
