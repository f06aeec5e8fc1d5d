package checkpoint

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/internal/textfile"
)

// ManifestFile is the name, in the folder of a checkpoint or export, of the list of its files.
const ManifestFile = "manifest.json"

const (
	manifestVersion = 1
	manifestHash    = "xxh3-128"
	maxManifest     = 1 << 22 // bytes
)

// Sum says what the bytes of a file were when it was written.
type Sum struct {
	Size int64  `json:"size"` // bytes
	Hash string `json:"hash"` // XXH3 of 128 bits, in hexadecimal digits
}

// Manifest lists the files that belong together: of a checkpoint, or of an export. A damaged file, and one of another
// checkpoint, is none of them.
type Manifest struct {
	Version int            `json:"version"`
	Step    int            `json:"step,omitempty"` // of the checkpoint; 0: before the first, or no run's
	Hash    string         `json:"hash"`           // of the sums: xxh3-128
	Files   map[string]Sum `json:"files"`          // by slash-separated name in the folder
}

// newManifest is a manifest without files.
func newManifest(step int) *Manifest {
	return &Manifest{Version: manifestVersion, Step: step, Hash: manifestHash, Files: map[string]Sum{}}
}

// Names lists the files in alphabetical order.
func (m *Manifest) Names() []string { return slices.Sorted(maps.Keys(m.Files)) }

// ReadManifest reads the manifest of the folder dir. A folder without one is fs.ErrNotExist. A version that this
// program does not know is ErrVersion, and a file that is no manifest ErrDamaged.
func ReadManifest(dir string) (*Manifest, error) {
	path := filepath.Join(dir, ManifestFile)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, &DamagedError{Dir: dir, File: ManifestFile, Reason: "is a folder"}
	}
	text, err := textfile.ReadFile(path, maxManifest)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return parseManifest(dir, text)
}

func parseManifest(dir string, text []byte) (*Manifest, error) {
	m := &Manifest{}
	bad := func(format string, args ...any) (*Manifest, error) {
		return nil, &DamagedError{Dir: dir, File: ManifestFile, Reason: fmt.Sprintf(format, args...)}
	}
	var v struct { // first, since another version may have other keys
		Version int    `json:"version"`
		Hash    string `json:"hash"`
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return bad("is no list of files (%v)", textfile.Brief(err))
	}
	if v.Version > manifestVersion {
		return nil, &ManifestVersionError{Path: filepath.Join(dir, ManifestFile), Version: v.Version, Ours: v.Hash != ""}
	}
	if err := decodeStrict(text, m); err != nil {
		return bad("is no list of files (%v)", err)
	}
	if m.Version != manifestVersion || m.Hash != manifestHash || m.Step < 0 || len(m.Files) == 0 {
		return bad("has version %d, step %d, hash %.40q and %d files", m.Version, m.Step, m.Hash, len(m.Files))
	}
	for name, s := range m.Files {
		if err := checkName(name); err != nil {
			return bad("lists a file that cannot be (%v)", err)
		}
		if b, err := hex.DecodeString(s.Hash); s.Size < 0 || err != nil || len(b) != 16 {
			return bad("has a sum of %.80s that cannot be", name)
		}
	}
	return m, nil
}

// ManifestVersionError is the error of a manifest of a version that this program does not know.
type ManifestVersionError struct {
	Path    string
	Version int
	Ours    bool // it names the hash of its sums, as this library does; {"version":3} alone is other software's
}

// Error names the file and the versions.
func (e *ManifestVersionError) Error() string {
	return fmt.Sprintf("checkpoint: %s: %v %d, this program knows %d: use the program that wrote it", e.Path, ErrVersion, e.Version, manifestVersion)
}

// Unwrap makes errors.Is(err, ErrVersion) true.
func (e *ManifestVersionError) Unwrap() error { return ErrVersion }

// write writes m. The bytes depend only on m.
func (m *Manifest) write(w io.Writer) error {
	text, err := json.MarshalIndent(m, "", " ")
	if err == nil {
		_, err = w.Write(append(text, '\n'))
	}
	return err
}

// hasher takes the sum of what is written to it.
type hasher struct {
	h    xxh3.Hasher
	size int64
}

// Write adds b.
func (h *hasher) Write(b []byte) (int, error) {
	h.size += int64(len(b))
	return h.h.Write(b)
}

func (h *hasher) sum() Sum {
	b := h.h.Sum128().Bytes()
	return Sum{h.size, hex.EncodeToString(b[:])}
}

// SumOf reads r to its end and returns its sum.
func SumOf(r io.Reader) (Sum, error) {
	var h hasher
	_, err := io.CopyBuffer(&h, struct{ io.Reader }{r}, make([]byte, 1<<18))
	return h.sum(), err
}

// SumFile returns the sum of the regular file at path.
func SumFile(path string) (Sum, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Sum{}, err
	}
	if !info.Mode().IsRegular() {
		return Sum{}, &fs.PathError{Op: "read", Path: path, Err: errors.New("it is no ordinary file")}
	}
	f, err := os.Open(path)
	if err != nil {
		return Sum{}, err
	}
	defer f.Close()
	return SumOf(f)
}

// WriteManifest lists the files that lie in the folder dir, and below it, in a manifest there: for a folder that is
// complete and not yet at its place. The caller syncs it.
func WriteManifest(dir string) error {
	m := newManifest(0)
	err := filepath.WalkDir(dir, func(at string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		if name = filepath.ToSlash(name); name == ManifestFile {
			return nil
		}
		m.Files[name], err = SumFile(at)
		return cmp.Or(err, checkName(name))
	})
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	f, err := disk.Create(filepath.Join(dir, ManifestFile))
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := errors.Join(m.write(f), f.Close()); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// ErrDamaged is wrapped by DamagedError.
var ErrDamaged = errors.New("damaged")

// DamagedError is the error of a file that is not the one that its manifest lists: bytes have changed, it is gone, or
// it comes from another checkpoint.
type DamagedError struct {
	Dir     string // of the manifest
	File    string // slash-separated name in it
	Step    int    // of the checkpoint; 0: none
	Missing bool
	Reason  string // what is wrong with it, for example "is missing"
}

// Error names the file and says what to do.
func (e *DamagedError) Error() string {
	of := ""
	if e.Step > 0 {
		of = fmt.Sprintf(" of the checkpoint of step %d", e.Step)
	}
	return fmt.Sprintf("checkpoint: %s%s is %v: it %s; put a copy of it back, or use another checkpoint",
		filepath.Join(e.Dir, filepath.FromSlash(e.File)), of, ErrDamaged, e.Reason)
}

// Unwrap makes errors.Is(err, ErrDamaged) true.
func (e *DamagedError) Unwrap() error { return ErrDamaged }

// Note says it of a file that is used all the same (see Editable), if it is there.
func (e *DamagedError) Note() string {
	if e.Missing {
		return filepath.Join(e.Dir, filepath.FromSlash(e.File)) + " is missing."
	}
	return fmt.Sprintf("%s %s: it was edited or is damaged, and is used as it is.", filepath.Join(e.Dir, filepath.FromSlash(e.File)), e.Reason)
}

// Compare reads the named file of m, which lies in dir, and compares it with its sum (DamagedError). A file that
// cannot be read is damaged too, unless it may be whole and only this process cannot open it: it belongs to another
// user, or too many files are open. Then the error is the system's.
func (m *Manifest) Compare(dir, name string) error {
	bad := func(format string, args ...any) error {
		return &DamagedError{Dir: dir, File: name, Step: m.Step, Reason: fmt.Sprintf(format, args...)}
	}
	want, ok := m.Files[name]
	if !ok {
		return bad("is not among the files that %s lists", ManifestFile)
	}
	path := filepath.Join(dir, filepath.FromSlash(name))
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &DamagedError{Dir: dir, File: name, Step: m.Step, Missing: true, Reason: "is missing"}
	case err == nil && info.Mode().IsRegular() && info.Size() != want.Size:
		return bad("has %d bytes and was written with %d", info.Size(), want.Size)
	}
	got, err := SumFile(path)
	if Shut(err) {
		return fmt.Errorf("checkpoint: %w; nothing is known to be wrong with it, and nothing was changed: mend that, and try again", err)
	}
	if err != nil {
		return bad("cannot be read (%v)", bare(err))
	}
	if got != want {
		return bad("has other bytes than were written")
	}
	return nil
}

// Shut reports that err, of a file, tells nothing of what is in it: another user owns it, too many files are open,
// memory is short, or its server does not answer. An input/output error is not among them: a disk that has lost bytes
// says so, and says it again.
func Shut(err error) bool {
	if runtime.GOOS == "windows" && (errors.Is(err, syscall.Errno(32)) || errors.Is(err, syscall.Errno(33))) { // another program holds it
		return true
	}
	return errors.Is(err, fs.ErrPermission) || slices.ContainsFunc(shutErrors, func(e error) bool { return errors.Is(err, e) })
}

var shutErrors = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EAGAIN, syscall.EINTR, syscall.ESTALE, syscall.ETIMEDOUT}

// Check compares files with their manifest on a goroutine of its own.
type Check struct {
	done chan struct{}
	err  error
	quit chan struct{}
}

// Check begins to compare the named files of m, which lie in dir. Nothing that was read from them may be used before
// Wait agrees.
func (m *Manifest) Check(dir string, names ...string) *Check {
	c := &Check{done: make(chan struct{}), quit: make(chan struct{})}
	go func() {
		defer close(c.done)
		for _, name := range names {
			select {
			case <-c.quit:
				return
			default:
			}
			if c.err = m.Compare(dir, name); c.err != nil {
				return
			}
		}
	}()
	return c
}

// Wait returns the DamagedError of the first file that differs, or nil. A nil Check agrees.
func (c *Check) Wait() error {
	if c == nil {
		return nil
	}
	<-c.done
	return c.err
}

// Stop ends the comparison after the file that it is at, and waits for that.
func (c *Check) Stop() {
	if c != nil {
		close(c.quit)
		<-c.done
	}
}

// editable are text files of model folders that people and other programs edit.
var editable = []string{"bdia.yaml", "config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json",
	"chat_template.jinja", "origin_config.json", "adapter_config.json", "preprocessor_config.json", "README.md"}

// Editable reports a file that may have been edited by hand since it was written: a change is told, and is no error.
func Editable(name string) bool { return slices.Contains(editable, path.Base(name)) }

// Read calls read, which reads files of the checkpoint in dir, and calls it again after an error if another process has
// committed a checkpoint meanwhile: then the files may have been of two.
func Read(dir string, read func() error) error {
	const tries = 200
	for try := 1; ; try++ {
		before := commits(dir)
		err := read()
		if err == nil || try == tries || before != "" && before == commits(dir) {
			return err
		}
		time.Sleep(time.Duration(min(try, 20)) * time.Millisecond)
	}
}

// commits changes with every checkpoint that is committed in dir, a run directory or a folder of one; it is empty
// during a commit.
func commits(dir string) string {
	for _, home := range []string{dir, filepath.Join(dir, ".."), filepath.Join(dir, "..", "..")} {
		if _, err := os.Lstat(filepath.Join(home, journalFile)); err == nil {
			return ""
		}
	}
	text, err := textfile.ReadFile(filepath.Join(dir, ManifestFile), maxManifest)
	return fmt.Sprint(string(text), err)
}
