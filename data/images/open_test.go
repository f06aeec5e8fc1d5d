package images

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
)

// The statistics are those published with the reference data.
func TestCIFAR10FromPNG(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("decodes 60,000 images")
	}
	d := open(t, testkit.SharedPath(t, "data", "cifar10-png"), Options{})
	if d.Train.Len() != 50000 || d.Val.Len() != 10000 || d.Train.Size() != 32 || len(d.Train.Classes()) != 10 {
		t.Fatalf("%d and %d images of size %d, classes %v", d.Train.Len(), d.Val.Len(), d.Train.Size(), d.Train.Classes())
	}
	want := Norm{Mean: [3]float64{0.49140, 0.48216, 0.44653}, Std: [3]float64{0.24703, 0.24349, 0.26159}}
	got := d.Train.Norm()
	for c := range 3 {
		if math.Abs(got.Mean[c]-want.Mean[c]) > 5.1e-6 || math.Abs(got.Std[c]-want.Std[c]) > 5.1e-6 {
			t.Errorf("channel %d: mean %.6f deviation %.6f, want %.5f %.5f", c, got.Mean[c], got.Std[c], want.Mean[c], want.Std[c])
		}
	}
	if d.Val.Norm() != got {
		t.Error("the validation set is normalised otherwise")
	}
}

// The binary samples hold the pixels of named PNG files.
func TestCIFARBinaryIsThePNGs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		binary, archive string
		classes         int
	}{
		{"cifar10-binary-sample", "cifar10-png", 10},
		{"cifar100-binary-sample", "cifar100-subset", 100},
	} {
		names := strings.Fields(string(must(t, openFile(t, testkit.SharedPath(t, "data", c.binary, "sample_files.txt")))))
		d := open(t, testkit.SharedPath(t, "data", c.binary, "sample.bin"), Options{Size: 32})
		if d.Train.Len() != len(names) || len(d.Train.Classes()) != c.classes || d.Val != nil {
			t.Fatalf("%s: %d images of %d classes, validation set %v", c.binary, d.Train.Len(), len(d.Train.Classes()), d.Val != nil)
		}
		tree, err := openTree(context.Background(), testkit.SharedPath(t, "data", c.archive, "test.tar"), &ledger{}, Options{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tree.close()
		members := map[string]*file{}
		for i := range tree.files {
			members[tree.files[i].name] = tree.files[i]
		}
		found := 0
		for i, name := range names {
			m := members[name]
			if m == nil {
				continue
			}
			found++
			planes := make([]uint8, cifarPixels)
			if _, err := (sample{file: m}).decode(cifarSize, planes, LatestReading, nil); err != nil {
				t.Fatal(err)
			}
			if got, _ := d.Train.planes(i, nil); !bytes.Equal(got, planes) {
				t.Errorf("%s: record %d differs from %s", c.binary, i, name)
			}
			if class := strings.Split(name, "/")[1]; d.Train.Classes()[d.Train.Label(i)] != class {
				t.Errorf("%s: record %d is of class %s, want %s", c.binary, i, d.Train.Classes()[d.Train.Label(i)], class)
			}
		}
		if found == 0 {
			t.Errorf("%s: none of %d files are in the archive", c.binary, len(names))
		}
	}
}

func openFile(t testing.TB, p string) *os.File {
	t.Helper()
	f, err := os.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// One CIFAR set as folder, tar and tar.gz, with and without names.
func TestCIFARLayouts(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{
		"cifar-10-batches-bin/data_batch_1.bin": cifarRecords(false, 3, 1),
		"cifar-10-batches-bin/data_batch_2.bin": cifarRecords(false, 2, 9, 0),
		"cifar-10-batches-bin/test_batch.bin":   cifarRecords(false, 4),
		"cifar-10-batches-bin/readme.html":      []byte("nothing"),
	}
	check := func(p string, classes []string) {
		t.Helper()
		d := open(t, p, Options{Norm: identity})
		_, labels := all(t, d.Train)
		if !slices.Equal(labels, []int32{3, 1, 2, 9, 0}) || d.Val.Len() != 1 || d.Val.Label(0) != 4 {
			t.Errorf("%s: labels %v, validation %d", p, labels, d.Val.Len())
		}
		if !slices.Equal(d.Train.Classes(), classes) {
			t.Errorf("%s: classes %q", p, d.Train.Classes())
		}
		planes, _ := d.Train.planes(3, nil)
		if want := files["cifar-10-batches-bin/data_batch_2.bin"][cifar10Bytes+1 : 2*cifar10Bytes]; !bytes.Equal(planes, want) {
			t.Errorf("%s: pixels of %s differ", p, d.Train.Name(3))
		}
		if name := d.Train.Name(3); !strings.HasSuffix(name, "data_batch_2.bin#1") {
			t.Errorf("%s: image 3 is named %s", p, name)
		}
	}
	check(folder(t, files), numbers(10))
	names := "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n"
	files["cifar-10-batches-bin/batches.meta.txt"] = []byte(names)
	check(folder(t, files), strings.Fields(names))
	check(file1(t, "c.tar", tarOf(t, files)), strings.Fields(names))
	check(file1(t, "c.tar.gz", gzipOf(t, tarOf(t, files))), strings.Fields(names))

	hundred := folder(t, map[string][]byte{"train.bin": cifarRecords(true, 99, 7), "test.bin": cifarRecords(true, 50)})
	if d := open(t, hundred, Options{}); d.Train.Label(0) != 99 || d.Val.Label(0) != 50 || len(d.Train.Classes()) != 100 {
		t.Errorf("CIFAR-100 labels %d, %d of %d classes", d.Train.Label(0), d.Val.Label(0), len(d.Train.Classes()))
	}
}

// identity normalises to the range -0.5..0.5.
var identity = Norm{Mean: [3]float64{0.5, 0.5, 0.5}, Std: [3]float64{1, 1, 1}}

// A set gives the same bits from a folder, an archive, below other folders, in
// memory and decoded when read.
func TestSameBitsFromEveryLayout(t *testing.T) {
	t.Parallel()
	files := classes3(t, 4, 9)
	pixels, labels := all(t, open(t, folder(t, files), Options{}).Train)
	deep := map[string][]byte{".DS_Store/x.png": nil, "a/b/.x.png": nil, "a/b/notes.txt": nil}
	for name, b := range files {
		deep["a/b/"+name] = b
	}
	archive := tarOf(t, deep)
	for name, p := range map[string]string{
		"folder": folder(t, deep), "tar": file1(t, "x.tar", archive), "tgz": file1(t, "x.TGZ", gzipOf(t, archive)),
	} {
		for _, o := range []Options{{Threads: 1}, {Threads: 5}, {MaxMemory: 1 << 16, Threads: 3}, {MaxMemory: int64(len(archive)), Size: 9}} {
			d, err := Open(context.Background(), p, o, nil)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			gotPixels, gotLabels := all(t, d.Train)
			if !slices.Equal(gotPixels, pixels) || !slices.Equal(gotLabels, labels) {
				t.Errorf("%s %+v: other bits than from the folder", name, o)
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestSetsWithinAPath(t *testing.T) {
	t.Parallel()
	train, test := classes3(t, 3, 4), classes3(t, 2, 4)
	both := map[string][]byte{}
	for name, b := range train {
		both["set/train/"+name] = b
	}
	for name, b := range test {
		both["set/test/"+name] = b
	}
	archives := map[string][]byte{"train.tar": tarOf(t, train), "test.tar.gz": gzipOf(t, tarOf(t, test))}
	for name, d := range map[string]*Dataset{
		"folders":  open(t, folder(t, both), Options{}),
		"archives": open(t, folder(t, archives), Options{}),
		"two":      open(t, folder(t, train), Options{Val: folder(t, test)}),
		"both":     open(t, folder(t, train), Options{Val: folder(t, both)}),
	} {
		if d.Train.Len() != 9 || d.Val == nil || d.Val.Len() != 6 {
			t.Errorf("%s: %d training images", name, d.Train.Len())
		}
	}
	if d := open(t, file1(t, "test.tar", tarOf(t, both)), Options{}); d.Train.Len() != 9 || d.Val.Len() != 6 {
		t.Error("one archive of both sets is read otherwise")
	}
}

// Files in the order of whole paths would put "a-b/x" before "a/x".
func TestClassesAreSortedByName(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{}
	for _, name := range []string{"a/1.png", "a-b/2.png", "a/3.png", "B/4.png"} {
		files[name] = pngOf(t, pattern(2, 2, 0))
	}
	s := open(t, folder(t, files), Options{}).Train
	var names []string
	for i := range s.Len() {
		names = append(names, fmt.Sprintf("%s=%d", s.Name(i), s.Label(i)))
	}
	if want := []string{"B/4.png=0", "a/1.png=1", "a/3.png=1", "a-b/2.png=2"}; !slices.Equal(names, want) {
		t.Errorf("images %q, want %q", names, want)
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	ok := classes3(t, 2, 4)
	with := func(name string, b []byte) map[string][]byte {
		files := maps.Clone(ok)
		files[name] = b
		return files
	}
	huge := bytes.Clone(ok["ant/aa.png"])
	copy(huge[16:], []byte{0, 0, 0x3e, 0x80, 0, 0, 0x3e, 0x80}) // 16000×16000
	binary.BigEndian.PutUint32(huge[29:], crc32.ChecksumIEEE(huge[12:29]))
	other := map[string][]byte{"ant/aa.png": ok["ant/aa.png"], "bee/aa.png": ok["ant/aa.png"], "dog/aa.png": ok["ant/aa.png"]}
	archive := tarOf(t, ok)
	for name, c := range map[string]struct {
		path string
		o    Options
		is   error
		says string
	}{
		"absent":         {filepath.Join(t.TempDir(), "no"), Options{}, os.ErrNotExist, "no"},
		"empty":          {t.TempDir(), Options{}, ErrNoImages, "PNG"},
		"text file":      {file1(t, "a.txt", nil), Options{}, ErrNoImages, "a.txt"},
		"one class":      {folder(t, map[string][]byte{"ant/a.png": ok["ant/aa.png"]}), Options{}, ErrClasses, `"ant"`},
		"no class":       {folder(t, with("z.png", nil)), Options{}, ErrClasses, "z.png"},
		"other classes":  {folder(t, ok), Options{Val: folder(t, other)}, ErrClasses, `only the validation set has "dog"; only the training set has "cat"`},
		"classes wanted": {folder(t, ok), Options{Classes: []string{"ant", "bee"}}, ErrClasses, `"cat"`},
		"corrupt":        {folder(t, with("bee/b.png", []byte("\x89PNG\r\n\x1a\n?"))), Options{}, ErrCorrupt, "b.png"},
		"another format": {folder(t, with("bee/b.png", []byte("GIF90a"))), Options{}, ErrCorrupt, "neither PNG"},
		"a web page":     {folder(t, with("bee/b.png", []byte("<!DOCTYPE html>"))), Options{}, ErrCorrupt, "a web page"},
		"a HEIC":         {folder(t, with("bee/b.jpg", []byte("\x00\x00\x00\x18ftypheic"))), Options{}, ErrCorrupt, "HEIC"},
		"of Git LFS":     {folder(t, with("bee/b.png", []byte("version https://git-lfs"))), Options{}, ErrCorrupt, "git lfs pull"},
		"truncated":      {folder(t, with("bee/b.png", ok["bee/aa.png"][:60])), Options{}, ErrCorrupt, "b.png"},
		"huge":           {folder(t, with("bee/b.png", huge)), Options{}, ErrTooLarge, "16000×16000"},
		"all corrupt":    {folder(t, map[string][]byte{"a/a.png": nil, "b/b.png": nil}), Options{OnCorrupt: Skip}, ErrCorrupt, "none of 2"},
		"tar cut":        {file1(t, "a.tar", archive[:len(archive)/2]), Options{}, ErrCorrupt, "a.tar"},
		"tar of noise":   {file1(t, "a.tar", bytes.Repeat([]byte("noise"), 1000)), Options{}, ErrCorrupt, "a.tar"},
		"gzip of noise":  {file1(t, "a.tgz", []byte("noise")), Options{}, ErrCorrupt, "a.tgz"},
		"gzip cut":       {file1(t, "a.tgz", gzipOf(t, archive)[:200]), Options{}, ErrCorrupt, "a.tgz"},
		"gzip bomb":      {file1(t, "a.tgz", gzipOf(t, make([]byte, 1<<20))), Options{MaxMemory: 1 << 19}, ErrTooLarge, "unpack it"},
		"CIFAR cut":      {file1(t, "a.bin", cifarRecords(false, 1, 2)[:5000]), Options{}, ErrCorrupt, "5000 bytes"},
		"CIFAR empty":    {file1(t, "a.bin", nil), Options{}, ErrCorrupt, "0 bytes"},
		"CIFAR label":    {file1(t, "a.bin", cifarRecords(false, 1, 2, 10, 11)), Options{}, ErrCorrupt, "record 2 has label 10, but there are 10 classes"},
		"CIFAR-100 fine": {file1(t, "a.bin", cifarRecords(true, 99, 100)), Options{}, ErrCorrupt, "record 1 has label 100"},
		"CIFAR coarse":   {file1(t, "a.bin", append([]byte{20}, cifarRecords(true, 0)[1:]...)), Options{}, ErrCorrupt, "coarse label 20, but there are 20"},
		"CIFAR both": {folder(t, map[string][]byte{"a.bin": cifarRecords(true, 0), cifar10Names: []byte("a\nb"), cifar100Names: []byte("a\nb")}),
			Options{}, ErrClasses, "apart"},
		"CIFAR names": {folder(t, map[string][]byte{"a.bin": cifarRecords(false, 0), cifar10Names: []byte("a\n")}), Options{}, ErrClasses, "1 names"},
		"subset":      {folder(t, ok), Options{Samples: 8}, nil, "ask for fewer"},
		"tiny subset": {folder(t, ok), Options{Samples: 1}, nil, "ask for more"},
		"fraction":    {folder(t, map[string][]byte{"a/a.png": ok["ant/aa.png"], "b/a.png": ok["ant/aa.png"]}), Options{ValFraction: 0.1}, nil, "validation fraction"},
		"size":        {folder(t, ok), Options{Size: 5000}, nil, "4096"},
		"policy":      {folder(t, ok), Options{OnCorrupt: "ask"}, nil, "skip"},
		"deviation":   {folder(t, ok), Options{Norm: Norm{Std: [3]float64{1, 0, 1}}}, nil, "deviation"},
		"threads":     {folder(t, ok), Options{Threads: -1}, nil, "threads"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Open(context.Background(), c.path, c.o, nil)
			if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("error %v; want %v that says %q", err, c.is, c.says)
			}
			if text := err.Error(); !strings.HasPrefix(text, "images: ") || strings.Contains(text, "\n") {
				t.Errorf("%q is not one line with the package's name", text)
			}
		})
	}
}

func TestCorruptImagesAreSkipped(t *testing.T) {
	t.Parallel()
	files := classes3(t, 5, 4)
	want, wantLabels := all(t, open(t, folder(t, files), Options{Norm: identity}).Train)
	for i := range 12 {
		files[fmt.Sprintf("bee/a%c-.png", 'a'+i)] = []byte("not an image")
	}
	files["ant/a.png"] = nil // the first, so that it does not give the size
	for _, memory := range []int64{0, 1} {
		d := open(t, folder(t, files), Options{OnCorrupt: Skip, Norm: identity, MaxMemory: memory})
		got, labels := all(t, d.Train)
		if !slices.Equal(got, want) || !slices.Equal(labels, wantLabels) {
			t.Errorf("memory %d: the other images have changed", memory)
		}
		if d.Skipped != 13 || len(d.Corrupt) != maxNamed || !strings.Contains(d.Corrupt[0], "a.png") || !strings.Contains(d.Corrupt[1], "aa-.png") {
			t.Errorf("memory %d: %d skipped, named %q", memory, d.Skipped, d.Corrupt)
		}
	}
}

func TestOpenObeysContextAndReports(t *testing.T) {
	t.Parallel()
	p := file1(t, "a.tgz", gzipOf(t, tarOf(t, classes3(t, 30, 4))))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	seen := map[string]int64{}
	_, err := Open(ctx, p, Options{Threads: 2}, func(what string, done, total int64) {
		if done < seen[what] || done > total {
			t.Errorf("%s: %d of %d after %d", what, done, total, seen[what])
		}
		seen[what] = done
	})
	if err != nil || seen["decoding"] != 90 || seen["unpacking"] == 0 {
		t.Fatalf("error %v, progress %v", err, seen)
	}
	_, err = Open(ctx, p, Options{Threads: 2}, func(what string, done, total int64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestSubsetAndSplit(t *testing.T) {
	t.Parallel()
	p := folder(t, classes3(t, 20, 2))
	count := func(s *Set) (of [3]int) {
		for i := range s.Len() {
			of[s.Label(i)]++
		}
		return of
	}
	names := func(s *Set) (all []string) {
		for i := range s.Len() {
			all = append(all, s.Name(i))
		}
		return all
	}
	o := Options{ValFraction: 0.25, Samples: 31, Seed: 5}
	d := open(t, p, o)
	if got := count(d.Val); got != [3]int{5, 5, 5} {
		t.Errorf("validation images of each class: %v", got)
	}
	if got := count(d.Train); got != [3]int{11, 10, 10} {
		t.Errorf("training images of each class: %v", got)
	}
	train, val := names(d.Train), names(d.Val)
	if !slices.IsSorted(train) || !slices.IsSorted(val) {
		t.Error("images are not in the order of the set")
	}
	if both := append(slices.Clone(train), val...); len(slices.Compact(slices.Sorted(slices.Values(both)))) != 46 {
		t.Error("an image is in both sets")
	}
	if again := open(t, p, o); !slices.Equal(names(again.Train), train) || !slices.Equal(names(again.Val), val) {
		t.Error("the same seed gives other images")
	}
	o.HeldOut = true
	if both := open(t, p, o); !slices.Equal(names(both.Train), train) {
		t.Error("there is no training set to measure the normalisation on")
	}
	o.Norm = d.Train.Norm()
	if held := open(t, p, o); held.Train != nil || !slices.Equal(names(held.Val), val) || !slices.Equal(held.Val.pixels, d.Val.pixels) {
		t.Error("held out alone are other images")
	}
	o.HeldOut = false
	o.Seed = 6
	if again := open(t, p, o); slices.Equal(names(again.Train), train) || slices.Equal(names(again.Val), val) {
		t.Error("another seed gives the same images")
	}
}

// A model's classes may be in another order than a data set's, and a CIFAR file
// may not name its own.
func TestClassesAskedFor(t *testing.T) {
	t.Parallel()
	want := []string{"cat", "ant", "bee"}
	s := open(t, folder(t, classes3(t, 1, 2)), Options{Classes: want}).Train
	if _, labels := all(t, s); !slices.Equal(labels, []int32{1, 2, 0}) || !slices.Equal(s.Classes(), want) {
		t.Errorf("labels %v of %v", labels, s.Classes())
	}
	ten := strings.Fields("z y x w v u t s r q")
	s = open(t, file1(t, "a.bin", cifarRecords(false, 3, 4)), Options{Classes: ten}).Train
	if s.Label(0) != 3 || !slices.Equal(s.Classes(), ten) {
		t.Errorf("CIFAR label %d of %v", s.Label(0), s.Classes())
	}
}
