package kernel

import (
	"bytes"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// emitted are the instructions that the generator of gemm16_amd64.s writes as bytes, because the assembler does not
// know them, in the notation of the manual.
var emitted = map[string]string{
	"c4e2784900":           "ldtilecfg [rax]",
	"c4e27b4b843e00000000": "tileloadd tmm0,[rsi+rdi*1+0x0]",
	"c4e27b4b8c3e40000000": "tileloadd tmm1,[rsi+rdi*1+0x40]",
	"c4c27b4b943e00000000": "tileloadd tmm2,[r14+rdi*1+0x0]",
	"c4c27b4b9c3e40000000": "tileloadd tmm3,[r14+rdi*1+0x40]",
	"c4e2794bb40300000000": "tileloaddt1 tmm6,[rbx+rax*1+0x0]",
	"c4a27b4ba40600000000": "tileloadd tmm4,[rsi+r8*1+0x0]",
	"c4a27b4bac0700000000": "tileloadd tmm5,[rdi+r8*1+0x0]",
	"c4e24a5cc4":           "tdpbf16ps tmm0,tmm4,tmm6",
	"c4e24a5cd5":           "tdpbf16ps tmm2,tmm5,tmm6",
	"c4e2794bbc0300040000": "tileloaddt1 tmm7,[rbx+rax*1+0x400]",
	"c4e2425ccc":           "tdpbf16ps tmm1,tmm4,tmm7",
	"c4e2425cdd":           "tdpbf16ps tmm3,tmm5,tmm7",
	"c4a27a4b842600000000": "tilestored [rsi+r12*1+0x0],tmm0",
	"c4a27a4b8c2640000000": "tilestored [rsi+r12*1+0x40],tmm1",
	"c4827a4b942600000000": "tilestored [r14+r12*1+0x0],tmm2",
	"c4827a4b9c2640000000": "tilestored [r14+r12*1+0x40],tmm3",
	"c4e27849c0":           "tilerelease",
	"62f2774872c0":         "vcvtne2ps2bf16 zmm0,zmm1,zmm0",
	"c4e27b49c0":           "tilezero tmm0",
	"c4e27b49c8":           "tilezero tmm1",
	"c4e27b49d0":           "tilezero tmm2",
	"c4e27b49d8":           "tilezero tmm3",
	"c4e27b49e0":           "tilezero tmm4",
	"c4e27b49e8":           "tilezero tmm5",
	"c4e27b49f0":           "tilezero tmm6",
	"c4e27b49f8":           "tilezero tmm7",
}

// TestEmittedBytes: every byte written out is of one of these instructions, and all of them occur.
func TestEmittedBytes(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("gemm16_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	line := regexp.MustCompile(`^\tBYTE\s+\$0x([0-9a-f]{2})$`)
	run := ""
	for _, l := range strings.Split(string(source), "\n") {
		if m := line.FindStringSubmatch(l); m != nil {
			if run += m[1]; emitted[run] != "" {
				seen[run], run = true, ""
			}
		} else if run != "" {
			t.Fatalf("%s is no instruction that is known here, before: %s", run, l)
		}
	}
	for b, text := range emitted {
		if !seen[b] {
			t.Errorf("%s (%s) does not occur", b, text)
		}
	}
}

// TestEmittedInstructions asks another disassembler what the bytes mean.
func TestEmittedInstructions(t *testing.T) {
	t.Parallel()
	objdump, err := exec.LookPath("objdump")
	if err != nil {
		t.Skip("no objdump (of binutils) on this machine")
	}
	file := filepath.Join(t.TempDir(), "code")
	for b, text := range emitted {
		code, err := hex.DecodeString(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, code, 0o666); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(objdump, "-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel", "--no-show-raw-insn", file).Output()
		if err != nil {
			t.Skipf("this objdump does not disassemble x86-64: %v", err)
		}
		lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
		_, got, _ := strings.Cut(string(lines[len(lines)-1]), ":")
		if got = strings.Join(strings.Fields(got), " "); got != text {
			t.Errorf("%s is %q, want %q", b, got, text)
		}
	}
}
