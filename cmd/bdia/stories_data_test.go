package main

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/traintest"
)

// smallEngine are the flags by which a run of a story takes a moment.
const smallEngine = " --threads 1 --warmup 1 --steps 3 --eval-every 2 --eval-samples 4"

// TestStoryFirstModel runs docs/first-model.md on forty notes, one of them empty.
func TestStoryFirstModel(t *testing.T) {
	size := "--layers 2 --heads 2 --width 16 --context 32 --batch 2" + smallEngine
	runStory(t, story{
		page: "first-model.md",
		prepare: func(t *testing.T, dir string) {
			for _, folder := range []string{"notes", "more"} {
				if err := os.Mkdir(filepath.Join(dir, folder), 0o777); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 40 {
				text := strings.Repeat(fmt.Sprintf("Today I walked %d miles to the sea and wrote it down.\n", i), 20)
				write(t, filepath.Join(dir, "notes"), fmt.Sprintf("day-%02d.txt", i), text)
				write(t, filepath.Join(dir, "more"), fmt.Sprintf("day-%02d.txt", i), strings.ReplaceAll(text, "sea", "lake"))
			}
			write(t, filepath.Join(dir, "notes"), "old.txt", "We met in the caf\xe9 at noon.\n")
			write(t, filepath.Join(dir, "notes"), "empty.txt", "")
		},
		small: map[string]string{"train text": size, "finetune": strings.Replace(size, "--layers 2 --heads 2 --width 16 --context 32 ", "", 1),
			"train resume": "--steps 4 --threads 1", "generate": "--max-tokens 8 --threads 1"},
		fails: []string{"bdia inspect notes/"},
		want:  []string{"empty", "Held out", "notes/old.txt"},
	})
}

// TestStoryTickets runs docs/tickets.md on two hundred tickets, with a small model in place of GPT-2.
func TestStoryTickets(t *testing.T) {
	small := "--window 48 --threads 1 --warmup 1 --steps 3 --eval-every 2 --batch-tokens 256"
	runStory(t, story{
		page: "tickets.md",
		prepare: func(t *testing.T, dir string) {
			if err := os.CopyFS(filepath.Join(dir, "gpt2"), os.DirFS(baseModel(t))); err != nil {
				t.Fatal(err)
			}
			var csv strings.Builder
			csv.WriteString("id,question,answer\n")
			for i := range 200 {
				fmt.Fprintf(&csv, "%d,\"My tablet %d reboots.\nWhat now?\",\"Please update it, %d.\"\n", i, i, i)
			}
			write(t, dir, "tickets.csv", csv.String())
		},
		small: map[string]string{"finetune": small, "plan": "--window 48", "generate": "--max-tokens 4 --threads 1", "eval": "--threads 1"},
		want:  []string{`"question"`, `"answer"`, "200"},
	})
}

// TestStoryChatModel runs docs/chat-model.md on forty conversations, with a small Qwen2.
func TestStoryChatModel(t *testing.T) {
	small := "--window 96 --threads 1 --warmup 1 --steps 3 --eval-every 2 --batch-tokens 256"
	runStory(t, story{
		page: "chat-model.md",
		prepare: func(t *testing.T, dir string) {
			if err := os.CopyFS(filepath.Join(dir, "qwen"), os.DirFS(traintest.QwenFolder(t))); err != nil {
				t.Fatal(err)
			}
			var chats strings.Builder
			for i := range 40 {
				fmt.Fprintf(&chats, `{"messages": [{"role": "user", "content": "Open on day %d?"}, {"role": "assistant", "content": "Yes, from %d."}]}`+"\n", i, i%12)
			}
			write(t, dir, "chats.jsonl", chats.String())
		},
		small: map[string]string{"finetune": small, "plan": "--window 96", "chat": "--max-tokens 4 --threads 1", "eval": "--threads 1"},
		want:  []string{"<|im_end|>", "helper.Modelfile", "40", "LICENSE"},
	})
}

// TestStoryPaperTable runs docs/paper-table.md on a few images in CIFAR's archive.
func TestStoryPaperTable(t *testing.T) {
	runStory(t, story{
		page:    "paper-table.md",
		prepare: writeCIFAR,
		small: map[string]string{"train images": "--subset 40 --image 32 --patch 16 --layers 4 --heads 2 --width 16 --mlp 16 --batch 8" + smallEngine,
			"eval": "--threads 1", "verify": "--threads 1"},
		want: []string{"airplane", "±", "gamma"},
	})
}

// writeCIFAR makes CIFAR-10's archive in dir, with ten images of each class to learn and two to test on.
func writeCIFAR(t *testing.T, dir string) {
	t.Helper()
	classes := strings.Fields("airplane automobile bird cat deer dog frog horse ship truck")
	records := func(n int) string {
		all := make([]byte, 0, n*3073)
		for i := range n {
			record := make([]byte, 3073)
			record[0] = byte(i % 10)
			for j := range record[1:] {
				record[1+j] = byte(i*j + 25*(i%10))
			}
			all = append(all, record...)
		}
		return string(all)
	}
	f, err := os.Create(filepath.Join(dir, "cifar-10-binary.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := gzip.NewWriter(f)
	archive := tar.NewWriter(z)
	for _, file := range [][2]string{{"batches.meta.txt", strings.Join(classes, "\n") + "\n"}, {"data_batch_1.bin", records(100)}, {"test_batch.bin", records(20)}} {
		if err := archive.WriteHeader(&tar.Header{Name: "cifar-10-batches-bin/" + file[0], Mode: 0o644, Size: int64(len(file[1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(file[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}
