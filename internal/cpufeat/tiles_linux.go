//go:build amd64 && !noasm

package cpufeat

import "syscall"

// permitTiles asks the system, for the whole process, for the registers of the matrix units. It is refused where the
// processor's extended state does not have them (bits 17 and 18 of XCR0), and where a virtual machine or a filter of
// system calls forbids it.
func permitTiles() error {
	const requestPermission, tileData = 0x1023, 18 // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
	if _, _, errno := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, requestPermission, tileData, 0); errno != 0 {
		return errno
	}
	return nil
}
