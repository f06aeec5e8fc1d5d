package images

import (
	"bytes"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// File names with a meaning.
const (
	cifar10Names  = "batches.meta.txt"
	cifar100Names = "fine_label_names.txt"
)

var (
	firstEndings   = []string{".png", ".jpg", ".jpeg", ".webp"} // of FirstReading
	imageEndings   = append(firstEndings, ".bmp", ".dib", ".gif", ".tif", ".tiff", ".jpe", ".jfif", ".pjpeg", ".pjp", ".apng")
	binaryEndings  = []string{".bin"}
	archiveEndings = []string{".tar", ".tar.gz", ".tgz", ".zip"} // the second and third are unpacked into memory
	tableEndings   = []string{".csv", ".tsv"}
	// otherEndings are not looked into.
	otherEndings = []string{".txt", ".json", ".jsonl", ".xml", ".html", ".htm", ".md", ".yaml", ".yml", ".py", ".ipynb", ".pdf", ".doc", ".docx",
		".xls", ".xlsx", ".mp4", ".avi", ".mov", ".log", ".sh", ".m", ".url", ".lnk", ".db", ".ini", ".names", ".cfg", ".license"}
)

// foreign are the formats of images that are not read, by their endings.
var foreign = map[string]string{}

func init() {
	for format, endings := range map[string]string{
		"HEIC": ".heic .heif .hif", "AVIF": ".avif", "JPEG 2000": ".jp2 .j2k .j2c .jpf .jpx .jpm", "JPEG XL": ".jxl", "JPEG XR": ".jxr .wdp",
		"SVG": ".svg .svgz", "Photoshop": ".psd .psb", "GIMP": ".xcf", "camera raw": ".cr2 .cr3 .crw .nef .arw .dng .orf .rw2 .raf .pef .srw .raw",
		"Targa": ".tga", "icon": ".ico .icns", "PCX": ".pcx", "OpenEXR": ".exr", "Radiance": ".hdr", "DICOM": ".dcm .dicom", "NIfTI": ".nii",
		"MetaImage": ".mha .mhd", "FITS": ".fits", "QOI": ".qoi", "DDS": ".dds", "PostScript": ".eps", "Netpbm": ".ppm .pgm .pbm .pnm .pam",
		"slide": ".svs .mrxs .ndpi",
	} {
		for _, e := range strings.Fields(endings) {
			foreign[e] = format
		}
	}
}

// foreignOf names the format of an image file that is not read, by its first bytes, or "".
func foreignOf(b []byte) string {
	switch {
	case len(b) >= 12 && string(b[4:8]) == "ftyp":
		switch brand := string(b[8:12]); {
		case brand == "avif" || brand == "avis":
			return "AVIF"
		case slices.Contains([]string{"heic", "heix", "heim", "heis", "hevc", "mif1", "msf1"}, brand):
			return "HEIC"
		}
	case bytes.HasPrefix(b, []byte("\x00\x00\x00\x0cjP  ")), bytes.HasPrefix(b, []byte("\xff\x4f\xff\x51")):
		return "JPEG 2000"
	case bytes.HasPrefix(b, []byte("\x00\x00\x00\x0cJXL ")), bytes.HasPrefix(b, []byte("\xff\x0a")):
		return "JPEG XL"
	case bytes.HasPrefix(b, []byte("8BPS")):
		return "Photoshop"
	case bytes.HasPrefix(b, []byte("\x76\x2f\x31\x01")):
		return "OpenEXR"
	case len(b) >= 3 && b[0] == 'P' && b[1] >= '1' && b[1] <= '7' && (b[2] == '\n' || b[2] == ' ' || b[2] == '\r'):
		return "Netpbm"
	}
	return ""
}

// storages are formats of data sets that are not read, by the endings of their files.
var storages = []struct{ what, endings string }{
	{"NumPy arrays", ".npz .npy"}, {"a Parquet table", ".parquet"}, {"TFRecord", ".tfrecord .tfrecords"}, {"HDF5", ".h5 .hdf5"},
	{"a MATLAB file", ".mat"}, {"an Arrow table", ".arrow .feather"}, {"a database", ".lmdb .mdb .sqlite"}, {"RecordIO", ".rec"},
	{"a Python pickle", ".pkl .pickle .pt .pth"}, {"a compressed archive of another kind", ".rar .7z .bz2 .xz .zst .tbz .txz"},
}

// storageOf names the format of a data set that is not read, or "".
func storageOf(name string) string {
	for _, s := range storages {
		if ending(name, strings.Fields(s.endings)) != "" {
			return s.what
		}
	}
	return ""
}

// StorageError is the error of a data set in a format that is not read. ErrNoImages is wrapped in it.
type StorageError struct {
	Path string
	What string // the format
	Help string // what to do
}

// Error names the file and the way out.
func (e *StorageError) Error() string {
	return fmt.Sprintf("images: %v in %s: it is %s, which is not read; %s", ErrNoImages, e.Path, e.What, e.Help)
}

// Unwrap returns ErrNoImages.
func (e *StorageError) Unwrap() error { return ErrNoImages }

// storageError is the error of the file at p, which is what.
func storageError(p, what string) error {
	help := "write each image as a PNG file into a folder with the name of its class"
	switch base := filepath.Base(p); {
	case what == "a compressed archive of another kind":
		help = "unpack it, or make a .zip or .tar.gz of the images"
	case isPickle(base) && base != "data_batch" && (base == "train" || base == "test" || base == "meta"):
		what, help = "CIFAR-100 as Python pickles", "take the binary version: https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
	case isPickle(base):
		what, help = "CIFAR-10 as Python pickles", "take the binary version: https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
	}
	return &StorageError{p, what, help}
}

// isPickle reports the name of a file of CIFAR for Python.
func isPickle(base string) bool {
	return strings.HasPrefix(base, "data_batch_") && path.Ext(base) == "" ||
		slices.Contains([]string{"test_batch", "batches.meta", "train", "test", "meta"}, base)
}

// ending returns the one of endings that name has, or "".
func ending(name string, endings []string) string {
	name = strings.ToLower(name)
	i := slices.IndexFunc(endings, func(e string) bool { return strings.HasSuffix(name, e) })
	if i < 0 {
		return ""
	}
	return endings[i]
}

// IsImage reports the name of a file that is one image.
func IsImage(name string) bool { return ending(name, imageEndings) != "" }

// IsArchive reports the name of an archive that Open looks into.
func IsArchive(name string) bool { return ending(name, archiveEndings) != "" }

// IsMany reports the name of a file of many images: one of CIFAR's or MNIST's.
func IsMany(name string) bool { return isBinary(name) || isIdx(name) }

func isBinary(name string) bool { return ending(name, binaryEndings) != "" }
func isTable(name string) bool  { return ending(name, tableEndings) != "" }

// isNames reports the name of a list of CIFAR's classes.
func isNames(base string) bool { return base == cifar10Names || base == cifar100Names }

// isIdx reports the name of a file of MNIST.
func isIdx(name string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), ".gz")
	return strings.HasSuffix(name, "idx3-ubyte") || strings.HasSuffix(name, "idx1-ubyte")
}

// firstUseful reports whether FirstReading uses files with this name.
func firstUseful(name string) bool {
	base := path.Base(name)
	if strings.HasPrefix(base, ".") || hidden(name) || strings.HasSuffix(strings.ToLower(base), ".zip") {
		return false
	}
	return ending(base, firstEndings) != "" || isBinary(base) || isNames(base) || IsArchive(base)
}

// hidden reports whether a folder or a file of the path starts with a dot.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.Contains(name, "/.")
}

// litter reports whether a file is hidden, or made by a system for itself.
func litter(name string) bool {
	if hidden(name) {
		return true
	}
	return slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool {
		switch strings.ToLower(part) {
		case "__macosx", "@eadir", "#recycle", "#snapshot", "@tmp", "lost+found", "$recycle.bin", "system volume information", "__pycache__",
			"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "picasa.ini":
			return true
		}
		return false
	})
}
