package data

import (
	"errors"
	"strings"
	"testing"
)

// TestSliding holds windows against the recipe, token by token: every one but the
// first is counted once, by the first window that reaches it.
func TestSliding(t *testing.T) {
	t.Parallel()
	for n := 2; n < 40; n++ {
		tokens := positions(t, n)
		for context := 1; context < 12; context++ {
			for stride := 1; stride <= context; stride++ {
				s, err := NewSliding(tokens, context, stride, 0)
				if err != nil {
					t.Fatal(err)
				}
				span := context
				if stride == context {
					span++
				}
				before, i := 1, 0 // tokens counted or not to be
				for begin := 0; ; begin += stride {
					end := min(begin+span, n)
					T, counted := s.Size(i)
					if T != end-begin-1 || counted != end-before {
						t.Fatalf("%d tokens, context %d, stride %d: window %d has %d targets, %d counted; want %d and %d",
							n, context, stride, i, T, counted, end-begin-1, end-before)
					}
					inputs, targets := make([]int32, T), make([]int32, T)
					if err := s.Window(i, inputs, targets); err != nil {
						t.Fatal(err)
					}
					for j := range T {
						if int(inputs[j]) != begin+j || int(targets[j]) != begin+j+1 {
							t.Fatalf("window %d: input %d is %d, target %d", i, j, inputs[j], targets[j])
						}
					}
					before, i = end, i+1
					if end == n {
						break
					}
				}
				if s.Len() != i {
					t.Fatalf("%d tokens, context %d, stride %d: %d windows, want %d", n, context, stride, s.Len(), i)
				}
			}
		}
	}
}

func TestSlidingErrors(t *testing.T) {
	t.Parallel()
	for _, stride := range []int{0, -1, 5} {
		if _, err := NewSliding(positions(t, 9), 4, stride, 0); err == nil {
			t.Errorf("stride %d is taken", stride)
		}
	}
	if _, err := NewSliding(positions(t, 9), 0, 0, 0); err == nil || !strings.Contains(err.Error(), "context of 0") {
		t.Errorf("a context of 0: %v", err)
	}
	if _, err := NewSliding(positions(t, 9), 4, 2, -1); err == nil {
		t.Error("-1 windows are taken")
	}
	if _, err := NewSliding(positions(t, 1), 4, 2, 0); !errors.Is(err, ErrTooShort) {
		t.Errorf("one token: error %v", err)
	}
	s, err := NewSliding(positions(t, 9), 4, 2, 2)
	if err != nil || s.Len() != 2 {
		t.Fatalf("%v, %v", s, err)
	}
	for i, room := range map[int]int{-1: 3, 2: 3, 0: 2} {
		if s.Window(i, make([]int32, room), make([]int32, room)) == nil {
			t.Errorf("window %d into %d is given", i, room)
		}
	}
}
