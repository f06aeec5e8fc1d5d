package faultfs

import (
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/bdia-go/bdia/internal/rng"
)

// layout writes trees as they are after a cut.
type layout struct {
	rule   Rule
	laid   map[*node]string // paths of the files that are there already
	draws  uint32           // so far, under Some
	chance float64          // that a change survives
	fates  map[*change]bool // that were drawn
}

func newLayout(rule Rule) *layout {
	l := &layout{rule: rule, laid: map[*node]string{}}
	if rule >= some {
		l.fates = map[*change]bool{}
		l.chance = l.draw()
	}
	return l
}

// write lays out n at path. A file that is laid out already gets one name more.
func (l *layout) write(n *node, path string) error {
	if n.names == nil {
		if first, ok := l.laid[n]; ok && os.Link(first, path) == nil {
			return nil
		}
		l.laid[n] = path
		return os.WriteFile(path, l.data(n), 0o666)
	}
	if err := os.MkdirAll(path, 0o777); err != nil {
		return err
	}
	names := l.names(n)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if err := l.write(names[name], filepath.Join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

// names are what is left of the names in a folder.
func (l *layout) names(n *node) map[string]*node {
	switch {
	case l.rule == Strict:
		return n.synced
	case l.rule < some:
		return n.names
	}
	names := maps.Clone(n.synced)
	if names == nil {
		names = map[string]*node{}
	}
	for _, c := range n.late {
		if !l.survives(c) {
			continue
		}
		if delete(names, c.name); c.node != nil {
			names[c.name] = c.node
		}
	}
	return names
}

// draw returns a number from 0 to 1, the next one of the seed.
func (l *layout) draw() float64 {
	l.draws++
	return float64(rng.Philox([4]uint32{l.draws}, [2]uint32{uint32(l.rule - some)})[0]) / (1 << 32)
}

// survives draws whether a change does.
func (l *layout) survives(c *change) bool {
	if c.synced {
		return true
	}
	fate, drawn := l.fates[c]
	if !drawn {
		fate = l.draw() < l.chance && (c.with == nil || l.survives(c.with))
		l.fates[c] = fate
	}
	return fate
}

// sector is the number of bytes that a disk writes together.
const sector = 512

// data are what is left of the bytes of a file.
func (l *layout) data(n *node) []byte {
	switch {
	case l.rule <= Ext4:
		return n.kept[l.rule]
	case l.rule < some:
		return n.data
	}
	data := slices.Clone(n.kept[Strict])
	for _, c := range n.late {
		switch {
		case !l.survives(c):
		case c.data == nil:
			data = put(data[:min(c.at, len(data))], nil, c.at)
		default:
			data = put(data, nil, c.at+len(c.data)) // the size survives, and then each sector or not
			whole := l.draw() < l.chance
			for from := 0; from < len(c.data); {
				to := min(len(c.data), (c.at+from)/sector*sector+sector-c.at)
				if whole || l.draw() < l.chance {
					copy(data[c.at+from:], c.data[from:to])
				}
				from = to
			}
		}
	}
	return data
}
