package onnx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/bdia-go/bdia/internal/testkit"
)

// sample has every part of a model.
func sample() *Model {
	return &Model{
		Producer: "bdia", Version: "1", Name: "ß",
		Inputs:  []Value{{"x", Float, []Dim{{Name: "batch"}, {Size: 3}}}, {"n", Int64, nil}},
		Outputs: []Value{{"y", Float, []Dim{{Name: "batch"}, {Size: 400}}}, {"yes", Bool, nil}},
		Nodes: []Node{
			{"first", "Gemm", []string{"x", "w", ""}, []string{"y"}, []Attr{{"alpha", float32(0.5)}, {"transB", int64(1)}, {"axis", int64(-1)}}},
			{"second", "LessOrEqual", []string{"n", "k"}, []string{"yes"}, []Attr{{"perm", []int64{0, -1, 300}}, {"none", []int64(nil)}}},
		},
		Tensors: []Tensor{
			{Name: "w", Type: Float, Shape: []int{400, 3}, Fill: func(from int, dst []float32) {
				for i := range dst {
					dst[i] = float32(from+i) / 4
				}
			}},
			Ints("k", nil, -5), Ints("list", []int{3}, 1, math.MinInt64, math.MaxInt64), Scalar("half", 0.5),
			{Name: "flags", Type: Bool, Shape: []int{2}, Data: []byte{0, 1}}, {Name: "empty", Type: Float, Shape: []int{0, 4}},
		},
	}
}

// filled is sample as it is read: data in place of functions.
func filled() *Model {
	m := sample()
	for i, t := range m.Tensors {
		if t.Fill != nil {
			var b bytes.Buffer
			if err := t.write(&b); err != nil {
				panic(err)
			}
			m.Tensors[i].Data, m.Tensors[i].Fill = b.Bytes(), nil
		}
	}
	return m
}

// TestRoundTrip: what is read is what was written, and the same model gives the same
// bytes, in one file or in two.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for limit, files := range map[int64]int{MaxFile: 1, 4000: 2} {
		dir, again := t.TempDir(), t.TempDir()
		for _, d := range []string{dir, again} {
			if err := create(filepath.Join(d, "m.onnx"), sample(), limit); err != nil {
				t.Fatal(err)
			}
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != files {
			t.Fatalf("%v, %v; want %d files", entries, err, files)
		}
		for _, e := range entries {
			a, _ := os.ReadFile(filepath.Join(dir, e.Name()))
			b, _ := os.ReadFile(filepath.Join(again, e.Name()))
			if !bytes.Equal(a, b) {
				t.Errorf("%s differs from one time to the next", e.Name())
			}
			if files == 1 && sample().Size() != int64(len(a)) {
				t.Errorf("%d bytes; Size says %d", len(a), sample().Size())
			}
		}
		f, err := Open(filepath.Join(dir, "m.onnx"))
		if err != nil {
			t.Fatal(err)
		}
		equateEmpty := cmp.FilterValues(func(a, b []byte) bool { return len(a)+len(b) == 0 }, cmp.Ignore())
		if diff := cmp.Diff(filled(), &f.Model, equateEmpty); diff != "" {
			t.Errorf("in %d files: %s", files, diff)
		}
		if err := errors.Join(f.Close(), f.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestLargeTensor: a tensor larger than a piece is whole.
func TestLargeTensor(t *testing.T) {
	t.Parallel()
	const n = 1<<18 + 5
	m := &Model{Name: "large", Tensors: []Tensor{{Name: "w", Type: Float, Shape: []int{n}, Fill: func(from int, dst []float32) {
		for i := range dst {
			dst[i] = float32(from + i)
		}
	}}}}
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := Create(path, m); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range n {
		if v := math.Float32frombits(binary.LittleEndian.Uint32(f.Tensors[0].Data[4*i:])); v != float32(i) {
			t.Fatalf("element %d is %v", i, v)
		}
	}
}

// TestWrongModels: what cannot be a graph is not written.
func TestWrongModels(t *testing.T) {
	t.Parallel()
	huge := []int{math.MaxInt, 2}
	for want, change := range map[string]func(m *Model){
		`input "q" is not defined`:   func(m *Model) { m.Nodes[0].Inputs[0] = "q" },
		`input "y" is not defined`:   func(m *Model) { m.Nodes[0].Inputs[0] = "y" },
		`a value of that name`:       func(m *Model) { m.Nodes[1].Outputs[0] = "y" },
		`output "z" is not defined`:  func(m *Model) { m.Outputs[0].Name = "z" },
		`a name has`:                 func(m *Model) { m.Tensors[0].Name = strings.Repeat("n", 2000) },
		`8 bytes of data for`:        func(m *Model) { m.Tensors[1].Shape = []int{2} },
		`9 dimensions`:               func(m *Model) { m.Tensors[0].Shape = make([]int, 9) },
		`type 10; float, int64 and`:  func(m *Model) { m.Tensors[0].Type = 10 },
		`shape [-1 3]`:               func(m *Model) { m.Tensors[0].Shape = []int{-1, 3} },
		`shape ` + fmt.Sprint(huge):  func(m *Model) { m.Tensors[0].Shape = huge },
		`tensor "": a name has 1 to`: func(m *Model) { m.Tensors[0].Name = "" },
	} {
		m := sample()
		change(m)
		if err := Create(filepath.Join(t.TempDir(), "m"), m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// inMemory returns a file with all tensors inside.
func inMemory(t testing.TB, m *Model) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := Create(path, m); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parseOnly(b []byte) (*Model, error) {
	p := &parser{items: maxItems, data: func(string, int64, int64) ([]byte, error) { return nil, corrupt("no other files") }}
	return p.model(b)
}

// message wraps fields into a graph of a model.
func message(fields ...[]byte) []byte {
	graph := bytes.Join(fields, nil)
	return append(appendMessage(appendInt(nil, modelIR, irVersion), modelGraph, graph), modelTail()...)
}

// TestHostile: files that break the format, or ask for too much.
func TestHostile(t *testing.T) {
	t.Parallel()
	whole := inMemory(t, sample())
	tensor := func(fields []byte) []byte { return appendMessage(nil, graphTensor, fields) }
	dims := func(d ...int64) (b []byte) {
		for _, n := range d {
			b = appendInt(b, tensorDim, n)
		}
		return appendText(appendInt(b, tensorType, int64(Float)), tensorName, "w")
	}
	external := func(key, value string) []byte {
		b := appendInt(dims(1), tensorLocation, locationExternal)
		return tensor(appendMessage(b, tensorExternal, appendText(appendText(nil, entryKey, key), entryValue, value)))
	}
	node := func(fields []byte) []byte { return appendMessage(nil, graphNode, fields) }
	subgraph := appendInt(appendText(nil, attrName, "body"), attrType, 5)
	for name, tc := range map[string]struct {
		file []byte
		want error
		text string
	}{
		"text":              {[]byte("hello, world"), ErrCorrupt, "not an ONNX file"},
		"no graph":          {appendInt(nil, modelIR, 8), ErrCorrupt, "no graph"},
		"cut short":         {whole[:len(whole)/2], ErrCorrupt, "fetch it again"},
		"negative value":    {message(appendMessage(nil, graphInput, appendMessage(nil, valueType, appendMessage(nil, typeTensor, appendMessage(nil, tensorTypeShape, appendMessage(nil, shapeDim, appendInt(nil, dimSize, -1))))))), ErrCorrupt, "a dimension of -1"},
		"two graphs":        {append(message(), appendMessage(nil, modelGraph, nil)...), ErrCorrupt, "two graphs"},
		"later operators":   {append(message(), appendMessage(nil, modelOpset, appendInt(nil, opsetVersion, 18))...), ErrUnsupported, "operator set 18"},
		"dimensions":        {message(tensor(dims(1<<40, 1<<40))), ErrCorrupt, "shape"},
		"negative":          {message(tensor(dims(-1))), ErrCorrupt, "shape"},
		"data missing":      {message(tensor(dims(3))), ErrCorrupt, "0 bytes of data"},
		"other data":        {message(tensor(appendMessage(dims(1), 4, make([]byte, 4)))), ErrUnsupported, "raw"},
		"long name":         {message(tensor(appendText(nil, tensorName, strings.Repeat("x", 2000)))), ErrCorrupt, "a name of 2000"},
		"offset":            {message(external("offset", "-1")), ErrCorrupt, "offset"},
		"length":            {message(external("length", "99999999999")), ErrCorrupt, "length"},
		"domain":            {message(node(appendText(nil, nodeDomain, "com.microsoft"))), ErrUnsupported, "domain"},
		"subgraph":          {message(node(appendMessage(nil, nodeAttr, subgraph))), ErrUnsupported, "attribute"},
		"undefined input":   {message(node(appendText(nil, nodeInput, "x"))), ErrCorrupt, "not defined"},
		"sequence":          {message(appendMessage(nil, graphInput, appendMessage(nil, valueType, appendMessage(nil, 4, nil)))), ErrUnsupported, "not a tensor"},
		"too many items":    {message(bytes.Repeat(node(nil), maxItems+1)), ErrUnsupported, "more than"},
		"too many in lists": {message(node(appendMessage(nil, nodeAttr, appendMessage(nil, attrInts, make([]byte, maxItems+1))))), ErrCorrupt, "list"},
	} {
		_, err := parseOnly(tc.file)
		if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %.200v; want %v, %s", name, err, tc.want, tc.text)
		}
	}
}

// TestData: data lie beside the model, nowhere else.
func TestData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "m.onnx")
	if err := create(path, sample(), 4000); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, location := range []string{"../passwd", "/etc/pass", "a/b/c/d/e", "..\\passwd"} {
		changed := bytes.Replace(b, []byte("m.onnx_data")[:len(location)], []byte(location), 1)
		if err := os.WriteFile(path, changed, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); !errors.Is(err, ErrCorrupt) {
			t.Errorf("data in %s: %v", location, err)
		}
	}
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path+"_data", 100); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrCorrupt) {
		t.Errorf("data cut short: %v", err)
	}
	if err := os.Remove(path + "_data"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no data: %v", err)
	}
	for _, name := range []string{dir, filepath.Join(dir, "none")} {
		if _, err := Open(name); err == nil {
			t.Errorf("%s opens", name)
		}
	}
}

// FuzzParse: no file makes the reader panic or take data that do not fit.
func FuzzParse(f *testing.F) {
	small := sample()
	small.Tensors[0].Shape = []int{1, 3}
	f.Add(inMemory(f, small))
	f.Add(message(appendMessage(nil, graphNode, protowire.AppendTag(nil, 3, protowire.StartGroupType))))
	for _, text := range testkit.Longer(inMemory(f, small)) {
		f.Add(text)
	}
	long := strings.Repeat("x", maxName)
	f.Add(message(appendMessage(nil, graphNode, Node{Name: long, Op: long, Inputs: []string{long}}.append(nil))))
	f.Add(message(appendMessage(nil, graphNode, appendText(Node{Op: long}.append(nil), nodeDomain, long))))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseOnly(b)
		testkit.Refused(t, err)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnsupported) {
				t.Errorf("%v wraps neither error of this package", err)
			}
			return
		}
		for _, x := range m.Tensors {
			n := x.Type.Size()
			for _, d := range x.Shape {
				n *= d
			}
			if n != len(x.Data) {
				t.Errorf("%d bytes of %v%v", len(x.Data), x.Type, x.Shape)
			}
		}
	})
}
