package tensor

import "testing"

func TestShapeAndViews(t *testing.T) {
	t.Parallel()
	x := Tensor{Offset: 64, Shape: Shape{2, 3, 4}}
	if x.Len() != 24 || x.Rows() != 6 || x.Cols() != 4 || x.Bytes() != 96 {
		t.Errorf("len %d rows %d cols %d bytes %d", x.Len(), x.Rows(), x.Cols(), x.Bytes())
	}
	if r := x.RowRange(2, 5); r.Offset != 64+2*4*4 || r.Shape != (Shape{3, 4}) {
		t.Errorf("RowRange = %+v", r)
	}
	if i := x.Index(1); i.Offset != 64+48 || i.Shape != (Shape{3, 4}) {
		t.Errorf("Index = %+v", i)
	}
	if s := x.Shape.String(); s != "(2,3,4)" {
		t.Errorf("String = %q", s)
	}
	if (Tensor{}).Valid() || !x.Valid() {
		t.Error("Valid is wrong")
	}
	if b := (Tensor{Shape: Shape{5}, DType: U8}).Bytes(); b != 5 {
		t.Errorf("U8 bytes = %d", b)
	}
}

// TestViewsKeepTheArena: every view lies where its tensor does.
func TestViewsKeepTheArena(t *testing.T) {
	t.Parallel()
	x := Tensor{Shape: Shape{2, 3, 4}, Arena: 7}
	for name, v := range map[string]Tensor{
		"Reshape": x.Reshape(Shape{24}), "RowRange": x.RowRange(1, 2), "Slice": x.Slice(1, 2), "Index": x.Index(1),
	} {
		if v.Arena != 7 {
			t.Errorf("%s: arena %d, want 7", name, v.Arena)
		}
	}
}

// TestView: another type and shape at the same place.
func TestView(t *testing.T) {
	t.Parallel()
	x := Tensor{Shape: Shape{2, 3}, Offset: 64, Arena: 7}
	if got := x.View(U8, x.Shape); got.Bytes() != 6 || got.Offset != 64 || got.Shape != x.Shape || got.Arena != 7 {
		t.Errorf("bytes in the place of floats: %+v", got)
	}
	if got := x.View(BF16, Shape{12}); got.Bytes() != x.Bytes() || got.DType != BF16 {
		t.Errorf("all of it as bfloat16: %+v", got)
	}
}

func TestViewsOutsidePanic(t *testing.T) {
	t.Parallel()
	x := Tensor{Shape: Shape{2, 3}}
	for name, f := range map[string]func(){
		"rows":    func() { x.RowRange(1, 3) },
		"index":   func() { x.Index(2) },
		"reshape": func() { x.Reshape(Shape{7}) },
		"view":    func() { x.View(F64, x.Shape) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s outside the tensor did not panic", name)
				}
			}()
			f()
		}()
	}
}
