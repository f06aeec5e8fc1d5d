package images

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
)

// listingOf is set in a process that lists an archive and tells what memory that took.
const listingOf = "IMAGES_LISTING_OF"

// TestMain lists an archive instead of testing, if asked to.
func TestMain(m *testing.M) {
	kind := os.Getenv(listingOf)
	if kind == "" {
		os.Exit(m.Run())
	}
	t := newTree(os.Args[1], &ledger{}, LatestReading)
	before := testkit.Resident()
	var err error
	if kind == "tar" {
		n, _ := strconv.Atoi(os.Args[1])
		var in = headersOf(n)
		err = t.openTar(context.Background(), in, in.size())
	} else if t, err = openTree(context.Background(), os.Args[1], &ledger{}, Options{Reading: LatestReading}, nil); err == nil {
		defer t.close()
	}
	if err == nil {
		_, _, err = t.sets(0)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(testkit.Resident()-before, t.listed())
}

// headersOf is a tar archive of so many empty images, made while it is read.
type headersOf int

func (n headersOf) size() int64 { return int64(n+2) * 512 }

var header = func() []byte {
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&tar.Header{Name: "c0/image-00000000.png", Mode: 0o644, Format: tar.FormatUSTAR}); err != nil {
		panic(err)
	}
	return b.Bytes()
}()

func (n headersOf) ReadAt(dst []byte, offset int64) (int, error) {
	for done := 0; done < len(dst); {
		var block [512]byte
		i, at := (offset+int64(done))/512, (offset+int64(done))%512
		switch {
		case i >= int64(n)+2:
			return done, io.EOF
		case i < int64(n):
			copy(block[:], header)
			block[1] = byte('0' + i%10)
			copy(block[9:17], fmt.Sprintf("%08d", i))
			copy(block[148:156], "        ")
			sum := 0
			for _, c := range block {
				sum += int(c)
			}
			copy(block[148:156], fmt.Sprintf("%06o\x00 ", sum))
		}
		done += copy(dst[done:], block[at:])
	}
	return len(dst), nil
}

// zipOfImages writes an archive of n tiny files by the method of compression.
func zipOfImages(t *testing.T, n int, method uint16) string {
	name := filepath.Join(t.TempDir(), "x.zip")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := zip.NewWriter(f)
	for i := range n {
		m, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("c%d/%08d.png", i%10, i), Method: method})
		if err == nil {
			_, err = m.Write([]byte("png"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestListingMemory: to list an archive of many files and to make its sets takes at most what is counted for it.
func TestListingMemory(t *testing.T) {
	t.Parallel()
	if testkit.Race {
		t.Skip("the race detector takes memory of its own")
	}
	n := 200_000
	if testing.Short() {
		n = 50_000
	}
	for kind, arg := range map[string]func() string{
		"tar":      func() string { return strconv.Itoa(n) },
		"stored":   func() string { return zipOfImages(t, n, zip.Store) },
		"deflated": func() string { return zipOfImages(t, n, zip.Deflate) },
	} {
		real, promised := testkit.Memory(t, listingOf+"="+kind, arg())
		t.Logf("%s: %d bytes a file, %d counted", kind, real/int64(n), promised/int64(n))
		if real > promised+8<<20 || promised > int64(n)*640 {
			t.Errorf("%s: %d files took %d bytes, and %d are counted", kind, n, real, promised)
		}
	}
}

// TestListThatDoesNotFit: a list that does not fit into memory is refused while it is made, before it is there.
func TestListThatDoesNotFit(t *testing.T) {
	t.Parallel()
	n := 4 * entriesBetween
	name := zipOfImages(t, n, zip.Deflate)
	for _, most := range []int64{1 << 20, 1 << 30} {
		asked := int64(0)
		o := Options{Fits: func(bytes int64) bool { asked = max(asked, bytes); return bytes <= most }}
		z, err := openTree(context.Background(), name, &ledger{}, o, nil)
		if fits := most == 1<<30; (err == nil) != fits || !fits && (!errors.Is(err, ErrTooLarge) || asked > most+4<<20) {
			t.Errorf("zip, %d bytes: %v, asked for %d", most, err, asked)
		}
		if err == nil {
			z.close()
		}
		list := newTree("x.tar", &ledger{}, LatestReading)
		list.fits = o.Fits
		err = list.openTar(context.Background(), headersOf(n), headersOf(n).size())
		if fits := most == 1<<30; (err == nil) != fits || !fits && (!errors.Is(err, ErrTooLarge) || len(list.files) > n/2) {
			t.Errorf("tar, %d bytes: %v, after %d files", most, err, len(list.files))
		}
	}
}
