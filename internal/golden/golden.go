// Package golden opens files of reference tensors for tests.
package golden

import (
	"encoding/binary"
	"testing"

	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/internal/testkit"
)

// File is a file of reference tensors.
type File struct {
	t testing.TB
	f *safetensors.File
}

// Open opens a file of the golden folder, or skips the test.
func Open(t testing.TB, name string) *File {
	t.Helper()
	f, err := safetensors.Open(testkit.SharedPath(t, "golden", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &File{t, f}
}

// Names lists the tensors.
func (g *File) Names() []string { return g.f.Names() }

// F32 returns a float32 tensor.
func (g *File) F32(name string) []float32 {
	g.t.Helper()
	info, ok := g.f.Info(name)
	if !ok {
		g.t.Fatalf("golden file has no tensor %s", name)
	}
	x := make([]float32, info.Elems())
	if err := g.f.ReadFloat32(name, x); err != nil {
		g.t.Fatal(err)
	}
	return x
}

// Bytes returns a tensor's bytes.
func (g *File) Bytes(name string) []byte {
	g.t.Helper()
	b, err := g.f.Bytes(name)
	if err != nil {
		g.t.Fatal(err)
	}
	return b
}

// I32 returns an int32 tensor.
func (g *File) I32(name string) []int32 {
	g.t.Helper()
	b := g.Bytes(name)
	x := make([]int32, len(b)/4)
	for i := range x {
		x[i] = int32(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return x
}
