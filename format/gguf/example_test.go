package gguf_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia/format/gguf"
)

// A file has keys with their values, and tensors. In Q8_0 a number takes about 8 bits.
func ExampleNewWriter() {
	dir, err := os.MkdirTemp("", "gguf-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.gguf")
	out, err := os.Create(path)
	if err != nil {
		panic(err)
	}
	w, err := gguf.NewWriter(out, []gguf.KV{{Key: "general.architecture", Value: "gpt2"}},
		[]gguf.Info{{Name: "output.weight", Type: gguf.Q8_0, Shape: []int{1, 32}}})
	if err != nil {
		panic(err)
	}
	row := make([]float32, 32)
	row[0], row[1] = 1, 0.3
	w.Write("output.weight", row)
	if err := w.Close(); err != nil { // of Write too
		panic(err)
	}
	out.Close()
	f, err := gguf.Open(path)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	fmt.Println(f.Value("general.architecture"))
	err = f.ReadFloat32("output.weight", 0, row)
	fmt.Println(row[:3], err)
	// Output:
	// gpt2 true
	// [0.99993896 0.29919434 0] <nil>
}
