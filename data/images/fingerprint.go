package images

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"path"
)

// Fingerprint tells one set of images from another: the classes, the names of the files, which may have moved to
// another folder, and their contents, in order.
type Fingerprint struct {
	Images  int    `yaml:"images"`
	Names   string `yaml:"names"`   // hash of names and classes
	Content string `yaml:"content"` // hash of the files
}

// Changed says what is different in a set that should be f and is now, or "".
func (f Fingerprint) Changed(now Fingerprint) string {
	switch {
	case now.Images != f.Images:
		return fmt.Sprintf("there were %d images, now there are %d", f.Images, now.Images)
	case now.Names != f.Names:
		return fmt.Sprintf("of %d images, the names or the classes are others", f.Images)
	case now.Content != f.Content:
		return fmt.Sprintf("of %d images with the same names, the contents are others", f.Images)
	}
	return ""
}

// digest is the hash of one image's file.
type digest [16]byte

func digestOf(b []byte) (d digest) {
	sum := sha256.Sum256(b)
	copy(d[:], sum[:])
	return d
}

// fingerprint returns the fingerprint of samples with the given contents.
func fingerprint(classes []string, samples []sample, contents []digest) Fingerprint {
	names, content := sha256.New(), sha256.New()
	for i, s := range samples {
		fmt.Fprintf(names, "%q %q\n", classes[s.label], path.Base(s.name()))
		content.Write(contents[i][:])
	}
	text := func(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)[:12]) }
	return Fingerprint{len(samples), text(names), text(content)}
}
