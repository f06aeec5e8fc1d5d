package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// put writes files into a new folder, by their names.
func put(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777); err != nil {
			t.Skip(err) // names that this system does not have
		}
		write(t, dir, name, content)
	}
	return dir
}

// encoded is a picture of 12x8 pixels as a PNG and a JPEG file; of 16 bits a channel, if it is deep.
func encoded(t *testing.T, deep bool) (asPNG, asJPEG string) {
	t.Helper()
	var m interface {
		image.Image
		Set(x, y int, c color.Color)
	} = image.NewNRGBA(image.Rect(0, 0, 12, 8))
	if deep {
		m = image.NewGray16(m.Bounds())
	}
	for i := range 96 {
		m.Set(i%12, i/12, color.NRGBA{uint8(20 * (i % 12)), uint8(30 * (i / 12)), 90, 255})
	}
	var p, j bytes.Buffer
	if err := png.Encode(&p, m); err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(&j, m, nil); err != nil {
		t.Fatal(err)
	}
	return p.String(), j.String()
}

// sideways is a JPEG file with the EXIF orientation of a phone held upright.
func sideways(photo string) string {
	exif := "Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00"
	return photo[:2] + "\xff\xe1" + string([]byte{0, byte(len(exif) + 2)}) + exif + photo[2:]
}

// twice has the content as four images of class a, and a PNG file as four of class b.
func twice(t *testing.T, name, content string) map[string]string {
	t.Helper()
	plain, _ := encoded(t, false)
	files := map[string]string{}
	for i := range 4 {
		files[fmt.Sprintf("a/%d%s", i, name)] = content
		files[fmt.Sprintf("b/%d.png", i)] = plain
	}
	return files
}

// looked is what a dry run says of the data at a path, in JSON, or its error.
func looked(path string, more ...string) result {
	return call(append(append([]string{"train", "--data", path, "--dry-run", "--json"}, tinyViT()...), more...)...)
}

// TestImageFiles: single files as cameras, programs and accidents leave them.
func TestImageFiles(t *testing.T) {
	t.Parallel()
	plain, photo := encoded(t, false)
	deep, _ := encoded(t, true)
	cmyk := string(readFile(t, "..", "..", "data", "images", "testdata", "cmyk.jpg"))
	end := len(plain) - 12
	for name, c := range map[string]struct{ ending, content, says string }{
		"turned photograph":  {".jpg", sideways(photo), `4 images are turned upright by EXIF orientation.`},
		"CMYK":               {".jpg", cmyk, ""},
		"16 bits":            {".png", deep, ""},
		"wrong ending":       {".jpg", plain, ""},
		"another wrong one":  {".png", photo, ""},
		"bytes behind":       {".png", plain + "\nmore", ""},
		"no end of PNG":      {".png", plain[:end], ""},
		"no end of JPEG":     {".jpg", photo[:len(photo)-2], ""},
		"a damaged text":     {".png", plain[:33] + "\x00\x00\x00\x01tEXta\x01\x02\x03\x04" + plain[33:], ""},
		"capitals":           {".JPG", photo, ""},
		"ending of Windows":  {".jfif", photo, ""},
		"name without one":   {"", photo, ""},
		"! empty":            {".png", "", "it is empty"},
		"! page":             {".jpg", "<!DOCTYPE html><html></html>", "perhaps a web page"},
		"! pointer":          {".png", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"},
		"! link of Git":      {".png", "../../real/side/000.png", "perhaps a symbolic link"},
		"! cut PNG":          {".png", plain[:end-9], "corrupt image data"},
		"! cut JPEG":         {".jpg", photo[:len(photo)-20], "corrupt image data"},
		"! line break first": {".jpg", "\n" + photo, "neither PNG, JPEG, WebP, BMP, GIF nor TIFF"},
	} {
		dir := put(t, twice(t, c.ending, c.content))
		r := looked(dir)
		if !strings.HasPrefix(name, "!") {
			if r.code != cli.ExitOK || !strings.Contains(r.out, c.says) || !strings.Contains(r.out, `"used": 8`) {
				t.Errorf("%s: exit %d: %s%s", name, r.code, r.out, r.err)
			}
			continue
		}
		if first := filepath.Join(dir, "a", "0"+c.ending); r.code != cli.ExitFailure || strings.Count(r.err, "\n") != 1 || !strings.Contains(r.err, first) ||
			!strings.Contains(r.err, c.says) || !strings.Contains(r.err, "--on-corrupt skip") {
			t.Errorf("%s: exit %d: %s, want %q", name, r.code, r.err, c.says)
		}
		write(t, dir, "a/good.png", plain)
		write(t, dir, "a/other.png", plain)
		if r := looked(dir, "--on-corrupt", "skip"); r.code != cli.ExitOK || !strings.Contains(r.out, `"count": 4`) || !strings.Contains(r.out, `"used": 6`) {
			t.Errorf("%s, left out: exit %d: %s%s", name, r.code, r.out, r.err)
		}
	}
}

// TestImageClasses: names of classes in any writing, and sets with classes of their own.
func TestImageClasses(t *testing.T) {
	t.Parallel()
	plain, _ := encoded(t, false)
	names, files := []string{"-x", "=1+2", "a b", "c,d", `e"f`, "g\nh", "שלום", "日本", "café", "cafe\u0301s"}, map[string]string{}
	for _, class := range names {
		files[class+"/1.png"], files[class+"/2.png"] = plain, plain
	}
	classes := map[string]bool{}
	for _, c := range object(t, looked(put(t, files)))["data"].(map[string]any)["classes"].([]any) {
		classes[c.(map[string]any)["name"].(string)] = true
	}
	for _, class := range names {
		if !classes[class] {
			t.Errorf("there is no class %q: %v", class, classes)
		}
	}
	for says, places := range map[string]string{
		`only the validation set has "z"`: "train/a train/b val/a val/b val/z",
		`only the training set has "c"`:   "train/a train/b train/c val/a val/b",
		`only the validation set has "cat", "dog"; only the training set has "Cat", "Dog"`: "train/Cat train/Dog val/cat val/dog",
		`only "only"; a classifier needs two or more class folders`:                        "only",
		`validation fraction 0.1 of 2 images leaves 2 for training and 0 for validation`:   "a b",
	} {
		files := map[string]string{}
		for _, at := range strings.Fields(places) {
			files[at+"/1.png"] = plain
		}
		if r := looked(put(t, files)); r.code != cli.ExitFailure || strings.Count(r.err, "\n") != 1 || !strings.Contains(r.err, says) {
			t.Errorf("%s: exit %d: %s, want %q", places, r.code, r.err, says)
		}
	}
}

// TestImageLinks: links to images and folders are followed; what leads nowhere is counted.
func TestImageLinks(t *testing.T) {
	t.Parallel()
	plain, _ := encoded(t, false)
	real := put(t, twice(t, ".png", plain))
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "a"), 0o777); err != nil {
		t.Fatal(err)
	}
	for at, to := range map[string]string{"a/1.png": "a/1.png", "a/2.png": "a/2.png", "a/3.png": "gone.png", "b": "b"} {
		if err := os.Symlink(filepath.Join(real, to), filepath.Join(dir, at)); err != nil {
			t.Skip(err)
		}
	}
	if r := looked(dir); !strings.Contains(r.out, `"used": 6`) || !strings.Contains(r.out, "leading nowhere") {
		t.Errorf("exit %d: %s%s", r.code, r.out, r.err)
	}
	r := mustCall(t, append([]string{"train", "--data", dir, "--dry-run"}, tinyViT()...)...)
	if text := strings.Join(strings.Fields(r.out+r.err), " "); !strings.Contains(text, "Left out 1 link leading nowhere; first:") {
		t.Errorf("it reads: %s", text)
	}
}

// TestImageArchives: archives as programs and systems write them, and cut ones.
func TestImageArchives(t *testing.T) {
	t.Parallel()
	plain, _ := encoded(t, false)
	src := put(t, twice(t, ".png", plain))
	var tarred, zipped bytes.Buffer
	into, zipInto := tar.NewWriter(&tarred), zip.NewWriter(&zipped)
	add := func(name, content string) {
		if err := into.WriteHeader(&tar.Header{Name: "./" + name, Mode: 0o666, Size: int64(len(content)), Format: tar.FormatPAX}); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(into, content)
		w, err := zipInto.Create("data/" + name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, content)
	}
	err := fs.WalkDir(os.DirFS(src), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			add(name, plain)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	add("a/._1.png", "Mac OS X")
	add("__MACOSX/a/._1.png", "Mac OS X")
	add(strings.Repeat("long", 30)+".txt", "x")
	noEnd := tarred.Len()
	into.Close()
	zipInto.Close()
	dir := t.TempDir()
	for name, content := range map[string]string{"all.tar": tarred.String(), "no-end.tar": tarred.String()[:noEnd], "kaggle.zip": zipped.String()} {
		r := looked(write(t, dir, name, content))
		if r.code != cli.ExitOK || !strings.Contains(r.out, `"used": 8`) || !strings.Contains(r.out, "hidden, or made by the system") || !strings.Contains(r.out, `"count": 2`) {
			t.Errorf("%s: exit %d: %s%s", name, r.code, r.out, r.err)
		}
	}
	for name, content := range map[string]string{"cut.tar": tarred.String()[:strings.LastIndex(tarred.String(), "IDAT")], "cut.zip": zipped.String()[:zipped.Len()/2]} {
		path := write(t, dir, name, content)
		if r := looked(path); r.code != cli.ExitFailure || strings.Count(r.err, "\n") != 1 || !strings.Contains(r.err, path) || !strings.Contains(r.err, "make or download the archive again") {
			t.Errorf("%s: exit %d: %s", name, r.code, r.err)
		}
	}
}
