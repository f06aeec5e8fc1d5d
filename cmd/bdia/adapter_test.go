package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/nn"
)

// adapterOf writes a lively adapter for the model in dir, in PEFT's files.
func adapterOf(t *testing.T, dir string, c model.LoRAConfig) string {
	t.Helper()
	cfg, err := convert.ReadGPTConfig(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	be, err := cpu.New(cpu.Options{Threads: 1, ArenaBytes: cpu.ScratchBytes(1) + 1<<20})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	m, err := model.NewGPT(be, cfg, bdia.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Freeze(1); err != nil {
		t.Fatal(err)
	}
	if err := m.AddLoRA(c); err != nil {
		t.Fatal(err)
	}
	for i, p := range m.Adapters() {
		nn.Normal(be, p, 0.3, 3, i)
	}
	out := t.TempDir()
	for name, write := range map[string]func(w io.Writer) error{
		"adapter_config.json":       func(w io.Writer) error { return convert.WriteAdapterConfig(w, m, dir) },
		"adapter_model.safetensors": func(w io.Writer) error { return convert.WriteAdapter(w, be, m) },
	} {
		var file bytes.Buffer
		if err := write(&file); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(out, name), file.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestAdapter: a model with an adapter beside it writes, and is measured, as the
// folder into which both are exported.
func TestAdapter(t *testing.T) {
	t.Parallel()
	dir := trainedRun(t)
	adapter := adapterOf(t, dir, model.LoRAConfig{Rank: 4, Alpha: 8, Dropout: 0.1, Targets: model.Targets{"all"}})
	merged := filepath.Join(t.TempDir(), "merged")
	mustCall(t, "export", "--from", dir, "--adapter", adapter, "--format", "hf", "--out", merged)
	text := write(t, t.TempDir(), "text.txt", prose(20))
	for _, args := range [][]string{{"generate", "--prompt", "The house", "--greedy", "--max-tokens", "60", "--grid", "9"}, {"eval", "--text", text, "--json"}} {
		with := func(dir string, more ...string) string {
			return mustCall(t, append(append(args, "--from", dir), more...)...).out
		}
		if args[0] == "eval" { // which takes the grid of the run, and a folder has none
			m, n := object(t, result{out: with(dir, "--adapter", adapter)}), object(t, result{out: with(merged)})
			if m["float_loss"] != n["loss"] {
				t.Errorf("eval with the adapter: %v\nof the merged model: %v", m, n)
			}
			continue
		}
		got, want := with(dir, "--adapter", adapter), with(merged)
		if got != want {
			t.Errorf("%q with the adapter: %q\nof the merged model: %q", args, got, want)
		}
		if got == with(dir) {
			t.Errorf("%q: the adapter changes nothing", args)
		}
	}
	held := object(t, mustCall(t, "eval", dir, "--adapter", adapter, "--json"))
	if plain := object(t, mustCall(t, "eval", dir, "--json")); held["loss"] == plain["loss"] {
		t.Error("eval of the run: the adapter changes nothing")
	}
}

// TestBadAdapters: folders that hold no adapter for the model.
func TestBadAdapters(t *testing.T) {
	t.Parallel()
	dir := trainedRun(t)
	adapter := adapterOf(t, dir, model.LoRAConfig{Rank: 2, Alpha: 2, Targets: model.Targets{"qkv"}})
	for part, change := range map[string]func(dir string){
		"adapter_config.json is missing": func(dir string) { os.Remove(filepath.Join(dir, "adapter_config.json")) },
		"save_pretrained": func(dir string) {
			os.Rename(filepath.Join(dir, "adapter_model.safetensors"), filepath.Join(dir, "adapter_model.bin"))
		},
		"adapter_model.safetensors: no such file": func(dir string) { os.Remove(filepath.Join(dir, "adapter_model.safetensors")) },
		"rank 999":   func(dir string) { edit(t, dir, `"r": 2`, `"r": 999`) },
		"use_dora":   func(dir string) { edit(t, dir, `"use_dora": false`, `"use_dora": true`) },
		"is missing": func(dir string) { edit(t, dir, `"attn.c_attn"`, `"c_fc"`) },
	} {
		broken := filepath.Join(t.TempDir(), "adapter")
		if err := os.CopyFS(broken, os.DirFS(adapter)); err != nil {
			t.Fatal(err)
		}
		change(broken)
		for _, args := range [][]string{{"generate", "--prompt", "a"}, {"export", "--format", "hf", "--out", filepath.Join(t.TempDir(), "out")}} {
			r := call(append(args, "--from", dir, "--adapter", broken)...)
			if r.code != cli.ExitFailure || !strings.Contains(r.err, part) || strings.Count(r.err, "\n") != 1 {
				t.Errorf("%s, %s: %+v", part, args[0], r)
			}
		}
	}
	if r := call("eval", dir, "--adapter", adapter, "--gamma", "0:0.5:0.1"); r.code != cli.ExitUsage {
		t.Errorf("--adapter beside --gamma: %+v", r)
	}
}

// edit changes the adapter_config.json in dir.
func edit(t *testing.T, dir, from, to string) {
	t.Helper()
	text := string(readFile(t, dir, "adapter_config.json"))
	if !strings.Contains(text, from) {
		t.Fatalf("no %s in %s", from, text)
	}
	write(t, dir, "adapter_config.json", strings.Replace(text, from, to, 1))
}
