package onnx

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/internal/seal"
)

// MaxFile is the largest size of a file in bytes. Larger models have their tensors
// in a second file.
const MaxFile = math.MaxInt32

// maxInside is the largest tensor, in bytes, that stays in the model file when the
// others go to a second one. Runtimes need the small ones there: reshapes read their
// shapes from them.
const maxInside = 1 << 10

// external locates the data of a tensor in the second file.
type external struct {
	location string
	offset   int64
}

// Create writes m to a new file at path, tensors piece by piece. If that would
// exceed MaxFile, the larger tensors go to path+"_data". The metadata have a checksum
// of the file at path (see Check). The same model gives the same bytes.
func Create(path string, m *Model) error { return create(path, m, MaxFile) }

// Size returns the size in bytes of a single file with all of m.
func (m *Model) Size() int64 {
	head, tensors, tail := m.parts(nil)
	graph := graphSize(head, tensors, tail)
	return int64(len(m.modelHead(graph))) + graph + int64(len(modelTail()))
}

func create(path string, m *Model, limit int64) (err error) {
	if err := m.check(); err != nil {
		return fmt.Errorf("onnx: %s: %w", path, err)
	}
	outside := map[string]external{}
	if m.Size() > limit {
		end := int64(0)
		for _, t := range m.Tensors {
			if n, _ := t.bytes(); n > maxInside {
				outside[t.Name] = external{filepath.Base(path) + "_data", end}
				end = pad(end + n)
			}
		}
	}
	if err := createFile(path, func(w *bufio.Writer) error { return m.write(w, outside) }); err != nil {
		return fmt.Errorf("onnx: %w", err)
	}
	if err := seal.Put(path, sumPlace); err != nil {
		return fmt.Errorf("onnx: %w", err)
	}
	if len(outside) == 0 {
		return nil
	}
	err = createFile(path+"_data", func(w *bufio.Writer) error { return m.writeOutside(w, outside) })
	if err != nil {
		return fmt.Errorf("onnx: %w", err)
	}
	return nil
}

// pad rounds n up to whole pages, so that a tensor can be mapped on its own.
func pad(n int64) int64 { return (n + 4095) &^ 4095 }

func createFile(path string, write func(w *bufio.Writer) error) (err error) {
	f, err := disk.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<16)
	if err := write(w); err != nil {
		return err
	}
	return w.Flush()
}

// write writes the ModelProto.
func (m *Model) write(w *bufio.Writer, outside map[string]external) error {
	head, tensors, tail := m.parts(outside)
	w.Write(m.modelHead(graphSize(head, tensors, tail))) // Flush returns the errors
	w.Write(head)
	for i, t := range m.Tensors {
		w.Write(tensors[i].head)
		if tensors[i].data > 0 {
			t.write(w)
		}
	}
	w.Write(tail)
	_, err := w.Write(modelTail())
	return err
}

// writeOutside writes the second file, with the tensors that are not in the model
// file.
func (m *Model) writeOutside(w *bufio.Writer, outside map[string]external) error {
	at := int64(0)
	for _, t := range m.Tensors {
		e, ok := outside[t.Name]
		if !ok {
			continue
		}
		w.Write(make([]byte, e.offset-at))
		n, _ := t.bytes()
		if err := t.write(w); err != nil {
			return err
		}
		at = e.offset + n
	}
	return nil
}

// write writes the data.
func (t Tensor) write(w io.Writer) error {
	if t.Fill == nil {
		_, err := w.Write(t.Data)
		return err
	}
	size, _ := t.bytes()
	const piece = 1 << 18
	elems := int(size) / t.Type.Size()
	values, raw := make([]float32, min(piece, elems)), make([]byte, 0, 4*min(piece, elems))
	for from := 0; from < elems; from += piece {
		v := values[:min(piece, elems-from)]
		t.Fill(from, v)
		raw = raw[:0]
		for _, x := range v {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
		}
		if _, err := w.Write(raw); err != nil {
			return err
		}
	}
	return nil
}

// Field numbers of the messages, by message.
const (
	modelIR, modelProducer, modelVersion, modelGraph, modelOpset = 1, 2, 3, 7, 8
	modelDoc, modelMetadata                                      = 6, 14
	opsetDomain, opsetVersion                                    = 1, 2
	graphNode, graphName, graphTensor, graphInput, graphOutput   = 1, 2, 5, 11, 12
	nodeInput, nodeOutput, nodeName, nodeOp, nodeAttr            = 1, 2, 3, 4, 5
	nodeDomain                                                   = 7
	attrName, attrFloat, attrInt, attrInts, attrType             = 1, 2, 3, 8, 20
	valueName, valueType                                         = 1, 2
	typeTensor, tensorTypeElem, tensorTypeShape                  = 1, 1, 2
	shapeDim, dimSize, dimName                                   = 1, 1, 2
	tensorDim, tensorType, tensorName, tensorRaw                 = 1, 2, 8, 9
	tensorSegment, tensorExternal, tensorLocation                = 3, 13, 14
	entryKey, entryValue                                         = 1, 2

	kindFloat, kindInt, kindInts = 1, 2, 7 // values of attrType
	locationExternal             = 1       // value of tensorLocation
)

func appendText(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func appendInt(b []byte, field protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(v))
}

func appendMessage(b []byte, field protowire.Number, message []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), message)
}

// modelHead returns the bytes before the graph's fields, and modelTail the bytes
// after them.
func (m *Model) modelHead(graph int64) []byte {
	b := appendInt(nil, modelIR, irVersion)
	b = appendText(b, modelProducer, m.Producer)
	b = appendText(b, modelVersion, m.Version)
	if m.Doc != "" {
		b = appendText(b, modelDoc, m.Doc)
	}
	return protowire.AppendVarint(protowire.AppendTag(b, modelGraph, protowire.BytesType), uint64(graph))
}

func modelTail() []byte {
	b := appendMessage(nil, modelOpset, appendInt(appendText(nil, opsetDomain, ""), opsetVersion, opset))
	return append(b, sumEntry()...)
}

// tensorParts describes a tensor in the graph: its encoded bytes before the data,
// and the length of the data.
type tensorParts struct {
	head []byte
	data int64
}

// parts returns the graph's fields: before the tensors, the tensors, and after them.
func (m *Model) parts(outside map[string]external) (head []byte, tensors []tensorParts, tail []byte) {
	for _, n := range m.Nodes {
		head = appendMessage(head, graphNode, n.append(nil))
	}
	head = appendText(head, graphName, m.Name)
	for _, t := range m.Tensors {
		tensors = append(tensors, t.parts(outside))
	}
	for _, v := range m.Inputs {
		tail = appendMessage(tail, graphInput, v.append(nil))
	}
	for _, v := range m.Outputs {
		tail = appendMessage(tail, graphOutput, v.append(nil))
	}
	return head, tensors, tail
}

func graphSize(head []byte, tensors []tensorParts, tail []byte) int64 {
	n := int64(len(head) + len(tail))
	for _, t := range tensors {
		n += int64(len(t.head)) + t.data
	}
	return n
}

func (t Tensor) parts(outside map[string]external) (p tensorParts) {
	var b []byte
	for _, d := range t.Shape {
		b = appendInt(b, tensorDim, int64(d))
	}
	b = appendText(appendInt(b, tensorType, int64(t.Type)), tensorName, t.Name)
	size, _ := t.bytes()
	if e, ok := outside[t.Name]; ok {
		for _, kv := range [][2]string{{"location", e.location}, {"offset", fmt.Sprint(e.offset)}, {"length", fmt.Sprint(size)}} {
			b = appendMessage(b, tensorExternal, appendText(appendText(nil, entryKey, kv[0]), entryValue, kv[1]))
		}
		b = appendInt(b, tensorLocation, locationExternal)
	} else {
		b = protowire.AppendVarint(protowire.AppendTag(b, tensorRaw, protowire.BytesType), uint64(size))
		p.data = size
	}
	p.head = protowire.AppendVarint(protowire.AppendTag(nil, graphTensor, protowire.BytesType), uint64(int64(len(b))+p.data))
	p.head = append(p.head, b...)
	return p
}

func (n Node) append(b []byte) []byte {
	for _, s := range n.Inputs {
		b = appendText(b, nodeInput, s)
	}
	for _, s := range n.Outputs {
		b = appendText(b, nodeOutput, s)
	}
	b = appendText(appendText(b, nodeName, n.Name), nodeOp, n.Op)
	for _, a := range n.Attrs {
		b = appendMessage(b, nodeAttr, a.append(nil))
	}
	return b
}

func (a Attr) append(b []byte) []byte {
	b = appendText(b, attrName, a.Name)
	switch v := a.Value.(type) {
	case float32:
		b = protowire.AppendFixed32(protowire.AppendTag(b, attrFloat, protowire.Fixed32Type), math.Float32bits(v))
		return appendInt(b, attrType, kindFloat)
	case int64:
		return appendInt(appendInt(b, attrInt, v), attrType, kindInt)
	case []int64:
		for _, i := range v {
			b = appendInt(b, attrInts, i)
		}
		return appendInt(b, attrType, kindInts)
	}
	panic(fmt.Sprintf("onnx: attribute %s is a %T", a.Name, a.Value))
}

func (v Value) append(b []byte) []byte {
	var shape []byte
	for _, d := range v.Shape {
		dim := appendText(nil, dimName, d.Name)
		if d.Name == "" {
			dim = appendInt(nil, dimSize, int64(d.Size))
		}
		shape = appendMessage(shape, shapeDim, dim)
	}
	t := appendMessage(appendInt(nil, tensorTypeElem, int64(v.Type)), tensorTypeShape, shape)
	return appendMessage(appendText(b, valueName, v.Name), valueType, appendMessage(nil, typeTensor, t))
}
