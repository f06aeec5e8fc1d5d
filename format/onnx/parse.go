package onnx

import (
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxItems limits the parts of a model that take memory of their own besides the
// mapped file: nodes, names, dimensions, elements of attributes.
const maxItems = 1 << 20

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
}

// parser reads the messages of one file.
type parser struct {
	items int // how many more are allowed
	// data returns bytes of another file of the model's folder.
	data func(location string, offset, length int64) ([]byte, error)
}

// field is one field of a message: a number or bytes.
type field struct {
	number protowire.Number
	kind   protowire.Type
	value  uint64
	bytes  []byte
}

// fields calls each on every field of the message.
func (p *parser) fields(b []byte, what string, each func(f field) error) error {
	for len(b) > 0 {
		if p.items--; p.items < 0 {
			return fmt.Errorf("%w: more than %d nodes, names and numbers", ErrUnsupported, maxItems)
		}
		var f field
		var n int
		if f.number, f.kind, n = protowire.ConsumeTag(b); n < 0 {
			return corrupt("%s: %v: not an ONNX file, or fetch it again", what, protowire.ParseError(n))
		}
		b = b[n:]
		switch f.kind {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			f.value = uint64(v)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(f.number, f.kind, b)
		}
		if n < 0 {
			return corrupt("%s: field %d: %v: not an ONNX file, or fetch it again", what, f.number, protowire.ParseError(n))
		}
		b = b[n:]
		if err := each(f); err != nil {
			return err
		}
	}
	return nil
}

// text sets s to the field.
func (f field) text(s *string) error {
	if f.kind != protowire.BytesType || len(f.bytes) > maxName {
		return corrupt("a name of %d bytes, at most %d", len(f.bytes), maxName)
	}
	*s = string(f.bytes)
	return nil
}

// names appends the field.
func (f field) names(list *[]string) error {
	var s string
	err := f.text(&s)
	*list = append(*list, s)
	return err
}

// ints appends the field to list: one number, or several packed ones.
func (p *parser) ints(f field, list *[]int64) error {
	if f.kind == protowire.VarintType {
		*list = append(*list, int64(f.value))
		return nil
	}
	for b := f.bytes; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if p.items--; n < 0 || p.items < 0 {
			return corrupt("a list of numbers")
		}
		*list, b = append(*list, int64(v)), b[n:]
	}
	return nil
}

// model reads a ModelProto.
func (p *parser) model(b []byte) (*Model, error) {
	m := &Model{}
	graphs, set := 0, int64(0)
	var ir int64
	err := p.fields(b, "model", func(f field) error {
		switch f.number {
		case modelIR:
			ir = int64(f.value)
		case modelProducer:
			return f.text(&m.Producer)
		case modelVersion:
			return f.text(&m.Version)
		case modelDoc:
			return f.text(&m.Doc)
		case modelGraph:
			if graphs++; graphs > 1 {
				return corrupt("two graphs")
			}
			return p.graph(m, f.bytes)
		case modelOpset:
			return p.opset(f.bytes, &set)
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case graphs == 0:
		return nil, corrupt("no graph: not an ONNX file?")
	case ir < 3 || ir > 13 || set != opset:
		return nil, fmt.Errorf("%w: IR version %d and operator set %d; set %d is supported", ErrUnsupported, ir, set, opset)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return m, nil
}

func (p *parser) opset(b []byte, version *int64) error {
	var domain string
	var v int64
	err := p.fields(b, "operator set", func(f field) error {
		switch f.number {
		case opsetDomain:
			return f.text(&domain)
		case opsetVersion:
			v = int64(f.value)
		}
		return nil
	})
	if domain == "" || domain == "ai.onnx" {
		*version = v
	}
	return err
}

func (p *parser) graph(m *Model, b []byte) error {
	return p.fields(b, "graph", func(f field) (err error) {
		switch f.number {
		case graphName:
			return f.text(&m.Name)
		case graphNode:
			var n Node
			n, err = p.node(f.bytes)
			m.Nodes = append(m.Nodes, n)
		case graphTensor:
			var t Tensor
			t, err = p.tensor(f.bytes)
			m.Tensors = append(m.Tensors, t)
		case graphInput:
			var v Value
			v, err = p.value(f.bytes)
			m.Inputs = append(m.Inputs, v)
		case graphOutput:
			var v Value
			v, err = p.value(f.bytes)
			m.Outputs = append(m.Outputs, v)
		}
		return err
	})
}

func (p *parser) node(b []byte) (n Node, err error) {
	var domain string
	err = p.fields(b, "node", func(f field) error {
		switch f.number {
		case nodeInput:
			return f.names(&n.Inputs)
		case nodeOutput:
			return f.names(&n.Outputs)
		case nodeName:
			return f.text(&n.Name)
		case nodeOp:
			return f.text(&n.Op)
		case nodeDomain:
			return f.text(&domain)
		case nodeAttr:
			a, err := p.attr(f.bytes)
			n.Attrs = append(n.Attrs, a)
			return err
		}
		return nil
	})
	if err == nil && domain != "" && domain != "ai.onnx" {
		err = fmt.Errorf("%w: operator %.80s of domain %.80q; only ONNX's own are supported", ErrUnsupported, n.Op, domain)
	}
	return n, err
}

func (p *parser) attr(b []byte) (a Attr, err error) {
	var kind uint64
	var number float32
	var one int64
	var list []int64
	err = p.fields(b, "attribute", func(f field) error {
		switch f.number {
		case attrName:
			return f.text(&a.Name)
		case attrFloat:
			number = math.Float32frombits(uint32(f.value))
		case attrInt:
			one = int64(f.value)
		case attrInts:
			return p.ints(f, &list)
		case attrType:
			kind = f.value
		}
		return nil
	})
	switch kind {
	case kindFloat:
		a.Value = number
	case kindInt:
		a.Value = one
	case kindInts:
		a.Value = list
	default:
		if err == nil {
			err = fmt.Errorf("%w: attribute %.80q of kind %d; numbers and lists of integers are supported", ErrUnsupported, a.Name, kind)
		}
	}
	return a, err
}

func (p *parser) value(b []byte) (v Value, err error) {
	shape := func(f field) error {
		if f.number != shapeDim {
			return nil
		}
		var d Dim
		err := p.fields(f.bytes, "dimension", func(f field) error {
			switch f.number {
			case dimSize:
				if f.value > math.MaxInt {
					return corrupt("a dimension of %d", int64(f.value))
				}
				d.Size = int(f.value)
			case dimName:
				return f.text(&d.Name)
			}
			return nil
		})
		v.Shape = append(v.Shape, d)
		return err
	}
	tensor := func(f field) error {
		switch f.number {
		case tensorTypeElem:
			v.Type = Type(f.value)
		case tensorTypeShape:
			return p.fields(f.bytes, "shape", shape)
		}
		return nil
	}
	err = p.fields(b, "value", func(f field) error {
		switch f.number {
		case valueName:
			return f.text(&v.Name)
		case valueType:
			return p.fields(f.bytes, "type", func(f field) error {
				if f.number != typeTensor {
					return fmt.Errorf("%w: value %.80q is not a tensor", ErrUnsupported, v.Name)
				}
				return p.fields(f.bytes, "tensor type", tensor)
			})
		}
		return nil
	})
	return v, err
}

func (p *parser) tensor(b []byte) (t Tensor, err error) {
	var dims []int64
	outside := map[string]string{}
	isOutside := false
	err = p.fields(b, "tensor", func(f field) error {
		switch f.number {
		case tensorDim:
			return p.ints(f, &dims)
		case tensorType:
			t.Type = Type(f.value)
		case tensorName:
			return f.text(&t.Name)
		case tensorRaw:
			t.Data = f.bytes
		case tensorLocation:
			isOutside = f.value == locationExternal
		case tensorExternal:
			var key, value string
			err := p.fields(f.bytes, "entry", func(f field) error {
				switch f.number {
				case entryKey:
					return f.text(&key)
				case entryValue:
					return f.text(&value)
				}
				return nil
			})
			outside[key] = value
			return err
		case 4, 5, 6, tensorSegment, 10, 11: // other fields of data
			return fmt.Errorf("%w: tensor %.80q is not stored as raw data", ErrUnsupported, t.Name)
		}
		return nil
	})
	if err != nil {
		return t, err
	}
	for _, d := range dims {
		if d < 0 || d > math.MaxInt/8 || len(dims) > maxRank {
			return t, corrupt("tensor %.64q: shape %.200s", t.Name, fmt.Sprint(dims))
		}
		t.Shape = append(t.Shape, int(d))
	}
	if !isOutside {
		return t, nil
	}
	size, err := t.bytes()
	if err != nil {
		return t, fmt.Errorf("%w: tensor %.64q: %w", ErrCorrupt, t.Name, err)
	}
	offset := int64(0)
	if s := outside["offset"]; s != "" {
		if offset, err = strconv.ParseInt(s, 10, 64); err != nil || offset < 0 {
			return t, corrupt("tensor %.64q: offset %.64q", t.Name, s)
		}
	}
	if s := outside["length"]; s != "" && s != fmt.Sprint(size) {
		return t, corrupt("tensor %.64q: length %.64q of %v%v", t.Name, s, t.Type, t.Shape)
	}
	t.Data, err = p.data(outside["location"], offset, size)
	if err != nil {
		err = fmt.Errorf("tensor %.64q: %w", t.Name, err)
	}
	return t, err
}
