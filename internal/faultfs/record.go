package faultfs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/bdia-go/bdia/internal/disk"
)

// Rule says what survives a power cut; the package comment defines each.
type Rule int

// The rules of durability: three of power cuts, and two without one. Some makes more.
const (
	Strict Rule = iota
	Ordered
	Ext4
	Killed
	Torn
	some // and all above
)

// Some is the rule of power cuts under which any part of what was not synced survives, drawn by seed.
func Some(seed int) Rule { return some + Rule(seed) }

// Rules are all but the ones of Some.
var Rules = []Rule{Strict, Ordered, Ext4, Killed, Torn}

// String returns the name in lower case, for example "some of seed 7".
func (r Rule) String() string {
	if r >= some {
		return fmt.Sprintf("some of seed %d", r-some)
	}
	return [...]string{"strict", "ordered", "ext4", "killed", "torn"}[r]
}

// Recording has the operations under a folder, in order, and what was there before.
type Recording struct {
	dir    string
	before *node
	stop   func()

	mutex sync.Mutex // operations come from several goroutines
	ops   []disk.Op
}

// Record writes down the operations on dir and below it, until Stop. What is in dir already counts as durable.
func Record(dir string) (*Recording, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	r := &Recording{dir: dir}
	if r.before, err = read(dir); err != nil {
		return nil, fmt.Errorf("faultfs: %w", err)
	}
	r.stop = disk.Tap(dir, func(op disk.Op) error {
		op.Data = bytes.Clone(op.Data)
		r.mutex.Lock()
		defer r.mutex.Unlock()
		r.ops = append(r.ops, op)
		return nil
	})
	return r, nil
}

// Stop ends the recording.
func (r *Recording) Stop() { r.stop() }

// Len returns the number of operations.
func (r *Recording) Len() int {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return len(r.ops)
}

// Op returns operation i.
func (r *Recording) Op(i int) disk.Op {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.ops[i]
}

// Replay writes into the empty or missing folder to what is left of the recorded folder if the power is cut after the
// first n operations.
func (r *Recording) Replay(n int, rule Rule, to string) error {
	w := &world{dir: r.dir, root: r.before.clone(), open: map[int64]*node{}}
	for i := range n {
		op := r.Op(i)
		if i == n-1 && rule == Torn && op.Kind == disk.Write {
			op.Data = op.Data[:len(op.Data)/2]
		}
		w.apply(op)
	}
	if err := newLayout(rule).write(w.root, to); err != nil {
		return fmt.Errorf("faultfs: replay: %w", err)
	}
	return nil
}

// read returns the tree at path, all of it durable.
func read(path string) (*node, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	n := newFolder()
	for _, e := range entries {
		full := filepath.Join(path, e.Name())
		var child *node
		switch {
		case e.IsDir():
			child, err = read(full)
		case e.Type().IsRegular():
			child = &node{}
			child.data, err = os.ReadFile(full)
			child.sync()
		default:
			err = fmt.Errorf("%s is neither a file nor a folder", full)
		}
		if err != nil {
			return nil, err
		}
		n.names[e.Name()] = child
	}
	n.sync()
	return n, nil
}
