package images

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// gives makes the files named in a list: "train/cat*3" is train/cat/0.png to 2.png.
func gives(t testing.TB, list string) map[string][]byte {
	files := map[string][]byte{}
	for _, item := range strings.Fields(list) {
		dir, count, many := strings.Cut(item, "*")
		if !many {
			files[item] = pngOf(t, pattern(4, 4, len(item)))
			continue
		}
		n := 0
		fmt.Sscan(count, &n)
		for i := range n {
			files[fmt.Sprintf("%s/%d.png", dir, i)] = pngOf(t, pattern(4, 4, i))
		}
	}
	return files
}

// TestSets: folders of sets are sets and not classes, in all the spellings that people use.
func TestSets(t *testing.T) {
	t.Parallel()
	const two = "cat dog"
	for _, c := range []struct {
		files   string
		classes string
		train   int
		val     int // -1: none
		says    string
	}{
		{"train/cat*3 train/dog*3 test/cat*1 test/dog*1", two, 6, 2, ""},
		{"Training/cat*3 Training/dog*3 Testing/cat*1 Testing/dog*1", two, 6, 2, "Training is the training set, Testing"},
		{"set/training_set/cat*3 set/training_set/dog*3 set/test_set/cat*1 set/test_set/dog*1", two, 6, 2, ""},
		{"seg_train/seg_train/cat*3 seg_train/seg_train/dog*3 seg_test/seg_test/cat*1 seg_test/seg_test/dog*1 seg_pred/seg_pred*2", two, 6, 2, ""},
		{"TRAIN/cat*3 TRAIN/dog*3 Val/cat*1 Val/dog*1 TEST/cat*2 TEST/dog*2", two, 6, 2, "unused TEST 4"},
		{"train/cat*3 train/dog*3 dev/cat*1 dev/dog*1", two, 6, 2, ""},
		{"train/cat*3 train/dog*3 validation/cat*1 validation/dog*1 evaluation/cat*2 evaluation/dog*1", two, 6, 2, ""},
		{"training/cat*3 training/dog*3 extra/cat*1 extra/dog*1", two, 6, -1, "unused extra 2"},
		{"test/cat*1 test/dog*1 photos/cat*3 photos/dog*3", two, 6, 2, "photos is the training set"},
		{"train/cat*3 train/dog*3", two, 6, -1, ""},
		{"train/cat*3 train/dog*3 test*4", two, 6, -1, "4 images without a class folder, in test"},
		{"train/cat*3 train/dog*3 val/images*2 test/images*2", two, 6, -1, "without a class folder"},
		{"cat/train*3 cat/test*1 dog/train*3 dog/test*1", two, 6, 2, "Each class folder"},
		{"train/images/cat*3 train/images/dog*3 valid/images/cat*1 valid/images/dog*1", two, 6, 2, ""},
		{"bus*3 car*3 train*3", "bus car train", 9, -1, ""},
		{"train_station/a*2 train_station/b*2 bus_station/c*1", "bus_station train_station", 5, -1, ""},
		{"n01/images*2 n02/images*2", "n01 n02", 4, -1, ""},
		{"ILSVRC/train/cat*2 ILSVRC/train/dog*2 ILSVRC/val/cat*1 ILSVRC/val/dog*1", two, 4, 2, ""},
	} {
		d := open(t, folder(t, gives(t, c.files)), Options{})
		val := -1
		if d.Val != nil {
			val = d.Val.Len()
		}
		if got := strings.Join(d.Train.Classes(), " "); got != c.classes || d.Train.Len() != c.train || val != c.val {
			t.Errorf("%s: classes %q, %d and %d images", c.files, got, d.Train.Len(), val)
		}
		if all := told(d); !strings.Contains(all, c.says) {
			t.Errorf("%s: it does not say %q:\n%s", c.files, c.says, all)
		}
	}
}

// told is all that a data set tells beside its images.
func told(d *Dataset) string {
	var b strings.Builder
	for _, l := range d.LeftOut() {
		fmt.Fprintf(&b, "%d %s %s (%s)\n", l.Count, l.What, l.Reason, filepath.Base(l.First))
	}
	for _, u := range d.Unused() {
		fmt.Fprintf(&b, "unused %s %d\n", u.Name, u.Images)
	}
	return b.String() + strings.Join(d.Notes(), "\n")
}

func TestUnclearLayouts(t *testing.T) {
	t.Parallel()
	for files, says := range map[string]string{
		"day/cat*2 day/dog*2 night/cat*2 night/dog*2":                   `the folders "day", "night" all hold the folders "cat", "dog"`,
		"train/cat.0.png train/dog.0.png test1/1.png":                   "cat.0.png goes into cat/",
		"cat.0.png dog.1.png":                                           "labels.csv",
		"train*3 test*3":                                                "make a folder for each class",
		"train/a*2 train/b*2 docs*1":                                    "holds class folders as a set does",
		"train1/a*1 train1/b*1 train2/a*1 train2/b*1 test/a*1 test/b*1": "are training sets by their names",
		"train/a*2 train/b*2 train/stray.png test/a*1 test/b*1":         "stray.png",
		"train/a*2 train/b*2 test/a*1 test/c*1":                         "only the training set has",
	} {
		_, err := Open(context.Background(), folder(t, gives(t, files)), Options{}, nil)
		if !errors.Is(err, ErrClasses) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one line with %q", files, err, says)
		}
	}
}

// TestNothingVanishes: what is not read is counted, by its reason.
func TestNothingVanishes(t *testing.T) {
	t.Parallel()
	files := gives(t, "cat*3 dog*3 cat/._0.png cat/Thumbs.db dog/@eaDir/x.png __MACOSX/cat/y.png .git/z.png")
	heic := []byte("\x00\x00\x00\x18ftypheic")
	maps.Copy(files, map[string][]byte{"cat/a.heic": heic, "cat/b.svg": nil, "dog/noending": pngOf(t, pattern(4, 4, 9)),
		"cat/c": heic, "notes.txt": nil, "birds/list.pdf": nil, "set.zip": nil})
	dir := folder(t, files)
	for _, l := range [][2]string{{"nowhere", "dog/broken.png"}, {"../cat/0.png", "dog/linked.png"}, {"..", "dog/loop"}} {
		if err := os.Symlink(l[0], filepath.Join(dir, l[1])); err != nil {
			t.Skip(err)
		}
	}
	for _, empty := range []string{"fish/tropical", "cat/nothing", ".empty"} {
		if err := os.MkdirAll(filepath.Join(dir, empty), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	d := open(t, dir, Options{})
	if d.Train.Len() != 8 {
		t.Errorf("%d images, want 3 cats, 3 dogs, one without ending and one linked", d.Train.Len())
	}
	got := told(d)
	for _, want := range []string{"2 images of the format HEIC, which is not read: convert to PNG or JPEG (a.heic)", "1 images of the format SVG",
		"1 links leading nowhere (broken.png)", "1 links back to a folder above", "5 files hidden, or made by the system", "2 files other than images",
		"1 folders without images beside the class folders, and so no class (birds)", "2 folders with nothing inside (nothing)", "1 archives among other files"} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q:\n%s", want, got)
		}
	}
	if d.Files() != 19 || d.FilesUsed() != 8 {
		t.Errorf("%d files, %d used", d.Files(), d.FilesUsed())
	}
	alone := gives(t, "cat*2 dog*2")
	alone["bird/a.heic"] = heic
	if _, err := Open(context.Background(), folder(t, alone), Options{}, nil); !errors.Is(err, ErrClasses) || !strings.Contains(err.Error(), `class "bird" has only images of the format HEIC`) {
		t.Errorf("a class that would vanish: %v", err)
	}
	damaged := gives(t, "cat*2 dog*2")
	damaged["bird/a.png"] = []byte("?")
	if _, err := Open(context.Background(), folder(t, damaged), Options{OnCorrupt: Skip}, nil); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), `"bird"`) {
		t.Errorf("a class without an image that can be decoded: %v", err)
	}
}

func zipOf(t testing.TB, files map[string][]byte, method uint16) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err == nil {
			_, err = f.Write(files[name])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestZip: an archive has the bits of the folder, whatever the memory.
func TestZip(t *testing.T) {
	t.Parallel()
	files := classes3(t, 4, 9)
	pixels, _ := all(t, open(t, folder(t, files), Options{}).Train)
	odd := map[string][]byte{"../out/ant/x.png": files["ant/aa.png"], "/abs/ant/x.png": files["ant/aa.png"], "__MACOSX/._x.png": nil}
	for name, b := range files {
		odd[`data\`+strings.ReplaceAll(name, "/", `\`)] = b // as some programs write it
	}
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		for _, memory := range []int64{0, 1} {
			d := open(t, file1(t, "x.zip", zipOf(t, odd, method)), Options{MaxMemory: memory})
			if got, _ := all(t, d.Train); !slices.Equal(got, pixels) || !strings.Contains(told(d), "2 files with a name that leads out") {
				t.Errorf("method %d, memory %d: other bits than from the folder, or %s", method, memory, told(d))
			}
		}
	}
	cifar := map[string][]byte{"c/data_batch_1.bin": cifarRecords(false, 1, 2, 3), "c/test_batch.bin": cifarRecords(false, 1)}
	if d := open(t, file1(t, "c.zip", zipOf(t, cifar, zip.Deflate)), Options{}); d.Train.Len() != 3 || d.Val.Len() != 1 {
		t.Error("CIFAR in a zip archive")
	}
	for name, c := range map[string]struct {
		b    []byte
		says string
	}{
		"cut": {zipOf(t, files, zip.Store)[:900], "make or download"}, "noise": {[]byte("noise"), "make or download"},
	} {
		if _, err := Open(context.Background(), file1(t, "x.zip", c.b), Options{}, nil); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMoreFormats: BMP, GIF and TIFF have the pixels of PNG.
func TestMoreFormats(t *testing.T) {
	t.Parallel()
	m := pattern(6, 6, 3)
	palette := image.NewPaletted(m.Rect, color.Palette{color.RGBA{1, 2, 3, 255}, color.RGBA{200, 100, 50, 255}})
	for i := range palette.Pix {
		palette.Pix[i] = uint8(i % 2)
	}
	var b, ti, g, anim bytes.Buffer
	if err := errors.Join(bmp.Encode(&b, m), tiff.Encode(&ti, m, nil), gif.Encode(&g, palette, nil),
		gif.EncodeAll(&anim, &gif.GIF{Image: []*image.Paletted{palette, palette}, Delay: []int{1, 1}})); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		b    []byte
		want image.Image
	}{"bmp": {b.Bytes(), m}, "tiff": {ti.Bytes(), m}, "gif": {g.Bytes(), palette}, "animated": {anim.Bytes(), palette}} {
		got, want := make([]uint8, 108), make([]uint8, 108)
		is, err := decode(c.b, 6, got, LatestReading)
		if _, other := decode(pngOf(t, c.want), 6, want, LatestReading); err != nil || other != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: error %v, or other pixels", name, err)
		}
		if is.animated != (name == "animated") {
			t.Errorf("%s: animated %v", name, is.animated)
		}
		if _, err := decode(c.b, 6, got, FirstReading); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s was not read by the first version: %v", name, err)
		}
	}
}

// TestMNIST: grey images and their labels, compressed or not.
func TestMNIST(t *testing.T) {
	t.Parallel()
	pair := func(n int) (pixels, labels []byte) {
		pixels = binary.BigEndian.AppendUint32(nil, 0x803)
		labels = binary.BigEndian.AppendUint32(nil, 0x801)
		for _, v := range []int{n, 3, 2} {
			pixels = binary.BigEndian.AppendUint32(pixels, uint32(v))
		}
		labels = binary.BigEndian.AppendUint32(labels, uint32(n))
		for i := range n {
			pixels, labels = append(pixels, 1, 2, uint8(10*i), 4, 5, 6), append(labels, uint8(i%3))
		}
		return pixels, labels
	}
	p, l := pair(6)
	tp, tl := pair(3)
	files := map[string][]byte{"train-images-idx3-ubyte": p, "train-labels-idx1-ubyte": l, "t10k-images-idx3-ubyte.gz": gzipOf(t, tp), "t10k-labels-idx1-ubyte.gz": gzipOf(t, tl)}
	d := open(t, folder(t, files), Options{Norm: identity})
	if d.Train.Len() != 6 || d.Val.Len() != 3 || !slices.Equal(d.Train.Classes(), []string{"0", "1", "2"}) || d.Train.Size() != 2 {
		t.Fatalf("%d and %d images of %v, size %d", d.Train.Len(), d.Val.Len(), d.Train.Classes(), d.Train.Size())
	}
	if got, _ := d.Train.planes(4, nil); !slices.Equal(got, []uint8{1, 2, 40, 4, 1, 2, 40, 4, 1, 2, 40, 4}) || d.Train.Label(4) != 1 {
		t.Errorf("pixels %v, label %d", got, d.Train.Label(4))
	}
	delete(files, "train-labels-idx1-ubyte")
	if _, err := Open(context.Background(), folder(t, files), Options{}, nil); !errors.Is(err, ErrNoImages) || !strings.Contains(err.Error(), "belong together") {
		t.Errorf("without labels: %v", err)
	}
}

// utf16le is ASCII text in UTF-16, as programs of Windows write it.
func utf16le(text string) string {
	b := []byte{0xff, 0xfe}
	for _, c := range []byte(text) {
		b = append(b, c, 0)
	}
	return string(b)
}

// TestLabelsInTables: flat folders get their classes from a table beside them.
func TestLabelsInTables(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files, table, text string
		says               string
	}{
		"kaggle":    {"train/a.png train/b.png train/c.png test/z.png", "labels.csv", "id,breed\na,cat\nb,dog\nc,dog\n", "1 images without a label in labels.csv (z.png)"},
		"file name": {"x/a.png x/b.png x/c.png", "x/metadata.csv", "\ufefffile_name,label\r\na.png,cat\r\nb.png,dog\r\nc.png,dog\r\nd.png,dog\r\n", `1 rows naming a missing image`},
		"semicolon": {"a.png b.png c.png", "data.csv", "Label;Image Path\ncat;photos\\a.png\ndog;./b.png\ndog;b/c.png\n", "The labels are those in data.csv"},
		"open mark": {"a.png b.png c.png d.png", "labels.csv", "filename,label,note\nd.png,dog,\"5 inches\na.png,cat,\nb.png,dog,\nc.png,dog,5\" wide\n", "1 rows with a quotation mark that has no end"},
		"of Excel":  {"a.png b.png c.png", "labels.csv", "sep=|\nfilename|label\na.png|cat\nb.png|dog\n\"c.png\"|dog\n", "The labels are those in labels.csv"},
		"UTF-16":    {"a.png b.png c.png", "labels.csv", utf16le("filename\tlabel\r\na.png\tcat\r\nb.png\tdog\r\nc.png\tdog\r\n"), "The labels are those in labels.csv"},
		"tabs":      {"images/a.png images/b.png images/c.png", "train.tsv", "image\tcategory\na.png\tcat\nb.png\tdog\nc.png\tdog\nc.png\tcat\na.png\t\n", "1 rows with another label"},
	} {
		files := gives(t, c.files)
		files[c.table], files["sample_submission.csv"] = []byte(c.text), []byte("id,label\na,0\n")
		d := open(t, folder(t, files), Options{})
		if got := d.Train.Classes(); d.Train.Len() != 3 || !slices.Equal(got, []string{"cat", "dog"}) || d.Train.Label(0) != 0 || d.Train.Label(1) != 1 {
			t.Errorf("%s: %d images of %v", name, d.Train.Len(), got)
		}
		if all := told(d); !strings.Contains(all, c.says) {
			t.Errorf("%s: it does not say %q:\n%s", name, c.says, all)
		}
	}
}

// TestOtherStorages: formats of whole data sets are refused by name, with a way out.
func TestOtherStorages(t *testing.T) {
	t.Parallel()
	pickle := []byte("\x80\x02}q\x00")
	for name, says := range map[string]string{"a.npz": "NumPy", "a.parquet": "Parquet", "a.tfrecord": "TFRecord", "a.h5": "HDF5", "a.tar.xz": "unpack it",
		"data_batch_1": "cifar-10-binary.tar.gz", "train": "cifar-100-binary.tar.gz"} {
		at := file1(t, name, pickle)
		for _, path := range []string{at, filepath.Dir(at), file1(t, "x.tar", tarOf(t, map[string][]byte{"set/" + name: pickle}))} {
			if _, err := Open(context.Background(), path, Options{}, nil); !errors.Is(err, ErrNoImages) || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: error %v, want %q", path, err, says)
			}
		}
	}
}

// TestFingerprint: it stays when the images move, and changes with them.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	files := classes3(t, 3, 4)
	of := func(path string) Fingerprint { return open(t, path, Options{}).Train.Fingerprint() }
	was := of(folder(t, files))
	for _, path := range []string{folder(t, files), file1(t, "x.zip", zipOf(t, files, zip.Deflate)), file1(t, "x.tgz", gzipOf(t, tarOf(t, files)))} {
		if what := was.Changed(of(path)); what != "" {
			t.Errorf("%s: %s", path, what)
		}
	}
	for says, change := range map[string]func(map[string][]byte){
		"now there are 8":     func(f map[string][]byte) { delete(f, "bee/aa.png") },
		"contents are others": func(f map[string][]byte) { f["bee/aa.png"] = pngOf(t, pattern(4, 4, 99)) },
		"names or":            func(f map[string][]byte) { f["bee/zz.png"] = f["bee/aa.png"]; delete(f, "bee/aa.png") },
		"the classes":         func(f map[string][]byte) { f["bee/zz.png"] = f["ant/aa.png"]; delete(f, "ant/aa.png") },
	} {
		other := maps.Clone(files)
		change(other)
		if what := was.Changed(of(folder(t, other))); !strings.Contains(what, says) {
			t.Errorf("%q, want %q", what, says)
		}
	}
}

// TestFirstReading: a run of the first version reads what it read.
func TestFirstReading(t *testing.T) {
	t.Parallel()
	files := gives(t, "Training/a*2 Training/b*1 Testing/a*1 Testing/b*1 Testing/@eaDir*1")
	files["Testing/x.bmp"] = nil
	d := open(t, folder(t, files), Options{Reading: FirstReading})
	if d.Train.Len() != 6 || !slices.Equal(d.Train.Classes(), []string{"Testing", "Training"}) {
		t.Errorf("%d images of %v", d.Train.Len(), d.Train.Classes())
	}
}
