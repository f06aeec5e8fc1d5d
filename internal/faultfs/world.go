package faultfs

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/bdia-go/bdia/internal/disk"
)

// node is a file or a folder: as programs see it, and as a power cut would leave it.
type node struct {
	names  map[string]*node // of a folder; nil for a file
	synced map[string]*node // its names at the last sync

	data []byte    // of a file
	kept [3][]byte // what is left of data, under the rules Strict, Ordered and Ext4

	late []*change // since the last sync
}

// change is a change of a folder or a file: a name in it, or its bytes.
type change struct {
	name string
	node *node   // that has the name; nil: the name is gone
	with *change // of a name that is gone by a rename: the new name, without which it is not; nil: there is none

	data []byte // that is written
	at   int    // where; without data the new size

	synced bool
}

func newFolder() *node { return &node{names: map[string]*node{}} }

// sync makes the bytes of a file, or the names of a folder, durable.
func (n *node) sync() {
	n.synced = maps.Clone(n.names)
	for _, c := range n.late {
		c.synced = true
	}
	n.late = nil
	for rule := range n.kept {
		n.kept[rule] = bytes.Clone(n.data)
	}
}

// clone copies a tree of which everything is durable. Bytes are shared: put and cut make new ones.
func (n *node) clone() *node {
	c := *n
	if n.names != nil {
		c.names = map[string]*node{}
		for name, child := range n.names {
			c.names[name] = child.clone()
		}
		c.synced = maps.Clone(c.names)
	}
	return &c
}

// set gives a name of a folder to a file or folder, or to nothing.
func (n *node) set(name string, child *node, with *change) *change {
	if child == nil {
		delete(n.names, name)
	} else {
		n.names[name] = child
	}
	c := &change{name: name, node: child, with: with}
	n.late = append(n.late, c)
	return c
}

// put writes data at an offset, behind zeros if the file is shorter.
func (n *node) put(data []byte, at int) {
	if len(data) == 0 {
		return
	}
	n.late = append(n.late, &change{data: data, at: at})
	n.data = put(n.data, data, at)
	if over := len(n.kept[Ext4]) - at; over > 0 {
		n.kept[Ext4] = put(n.kept[Ext4], data[:min(over, len(data))], at)
	}
}

func put(old, data []byte, at int) []byte {
	b := make([]byte, max(len(old), at+len(data)))
	copy(b, old)
	copy(b[at:], data)
	return b
}

// cut changes the size. A smaller size is like a name: it survives under Ordered and Ext4.
func (n *node) cut(size int) {
	n.late = append(n.late, &change{at: size})
	if size > len(n.data) {
		n.data = put(n.data, nil, size)
		return
	}
	n.data = n.data[:size:size]
	for _, rule := range []Rule{Ordered, Ext4} {
		kept := n.kept[rule]
		n.kept[rule] = kept[:min(size, len(kept)):min(size, len(kept))]
	}
}

// world is a file system in memory. Operations that fail on a real one do nothing.
type world struct {
	dir  string // the path of root
	root *node
	open map[int64]*node // by disk.Op.File
}

const separator = string(filepath.Separator)

// at returns the folder that has or would have path, and the last part of path; nil if there is no such folder.
func (w *world) at(path string) (folder *node, name string) {
	rest, below := strings.CutPrefix(path+separator, strings.TrimSuffix(w.dir, separator)+separator)
	parts := strings.FieldsFunc(rest, func(r rune) bool { return r < 0x80 && os.IsPathSeparator(uint8(r)) })
	if !below || len(parts) == 0 {
		return nil, ""
	}
	folder = w.root
	for _, p := range parts[:len(parts)-1] {
		if folder = folder.names[p]; folder == nil || folder.names == nil {
			return nil, ""
		}
	}
	return folder, parts[len(parts)-1]
}

// find returns what is at path, or nil.
func (w *world) find(path string) *node {
	if path == w.dir {
		return w.root
	}
	folder, name := w.at(path)
	if folder == nil {
		return nil
	}
	return folder.names[name]
}

// file returns the file that an operation is on.
func (w *world) file(op disk.Op) *node {
	if n := w.open[op.File]; n != nil {
		return n
	}
	if n := w.find(op.Path); n != nil && n.names == nil {
		return n
	}
	return &node{} // it was opened before the recording began, and is gone
}

func (w *world) apply(op disk.Op) {
	folder, name := w.at(op.Path)
	there := w.find(op.Path)
	switch op.Kind {
	case disk.Open:
		switch {
		case there != nil && (there.names != nil || op.Flag&os.O_EXCL != 0):
			return
		case there == nil && (folder == nil || op.Flag&os.O_CREATE == 0):
			return
		case there == nil:
			there = &node{}
			folder.set(name, there, nil)
		case op.Flag&os.O_TRUNC != 0:
			there.cut(0)
		}
		w.open[op.File] = there
	case disk.Write:
		w.file(op).put(op.Data, int(op.Offset))
	case disk.Cut:
		w.file(op).cut(int(op.Offset))
	case disk.Sync:
		w.file(op).sync()
	case disk.Names:
		if there != nil && there.names != nil {
			there.sync()
		}
	case disk.Move:
		w.move(op)
	case disk.Link:
		to, name := w.at(op.To)
		if there != nil && there.names == nil && to != nil && to.names[name] == nil {
			to.set(name, there, nil)
		}
	case disk.Delete:
		if there != nil && len(there.names) == 0 && folder != nil {
			folder.set(name, nil, nil)
		}
	case disk.Folder:
		if folder != nil && there == nil {
			folder.set(name, newFolder(), nil)
		}
	}
}

// move renames. One end may be outside of the recorded folder: then the file comes from nowhere, or goes there.
func (w *world) move(op disk.Op) {
	from, old := w.at(op.Path)
	to, name := w.at(op.To)
	n := &node{}
	if from != nil {
		if n = from.names[old]; n == nil {
			return
		}
	}
	if to != nil {
		if over := to.names[name]; over != nil {
			if over == n { // two names of one file: both stay
				return
			}
			if (over.names != nil) != (n.names != nil) || len(over.names) > 0 {
				return
			}
			n.kept[Ext4] = bytes.Clone(n.data)
		}
	}
	var with *change
	if to != nil {
		with = to.set(name, n, nil)
	}
	if from != nil {
		from.set(old, nil, with)
	}
}
