// Package faultfs lets the file operations of a test fail, and cuts the power between them. It taps package disk,
// through which the product writes all its files. So a test runs the real code on a real folder.
//
// # Faults
//
// Inject counts the operations under a folder and lets one of them fail: once, or it and all that follow. A disk that
// is full for a moment is the first, a process that dies the second. For example, to meet every operation of f once:
//
//	for n := 0; ; n++ {
//		faults := faultfs.Inject(dir, faultfs.Fault{At: n, Err: syscall.ENOSPC})
//		err := f(dir)
//		if faults.Stop(); faults.Hit() == nil {
//			break // f has no more operations
//		}
//		// err is a line that says so, or f has got over the fault
//	}
//
// # Power cuts
//
// Record writes down every operation under a folder, with its bytes. Recording.Replay then lays out in a new folder
// what a disk would hold if the power had been cut after the first n operations. What a disk may lose depends on the
// file system, so there are four rules of durability. The first three are the worst cases of their kinds:
//
//   - Strict: only what was synced survives. A file has the bytes of its last sync, and none if it was never synced. A
//     folder has the names of its last sync (disk.SyncFolder). A rename is two changes, one in each folder: when only
//     the target was synced, the file is under both names. This is what POSIX promises, and nothing more.
//
//   - Ordered: names survive, in order, up to the cut, and so do sizes that were cut. The bytes of a file survive only
//     if they were synced. So a file that was written, renamed and not synced is there and empty, as on XFS.
//
//   - Ext4: names survive as under Ordered. A file that is renamed over another one is written out first, as ext4 does
//     by default (auto_da_alloc). On the other side, bytes that overwrite older ones of a file survive at once: a disk
//     may write them early, and data=ordered keeps no order between them. So a header that is changed in place, before
//     what it speaks of is synced, is caught.
//
//   - Some: each change that was not synced survives or does not, as a seed draws: a name that is made, given to
//     another file or removed, a size, a sector of 512 bytes. A rename may leave both names; it does not take the old
//     one without giving the new one. So it also finds what only a mixture of the other rules does.
//
// A cut may also keep less of the names than Ordered does, in order. That is no case of its own: nothing was synced
// after the names that are lost, so the same disk is left by an earlier cut.
//
// Two more rules have no power cut. Under Killed all operations survive, as when a process dies and the machine does
// not. Torn is the same, but of the last operation, if it writes, only the first half of the bytes arrives.
//
// # What the rules catch
//
// The tests of this package hold the rules against known sequences. To write a new file and rename it over the old one
// is wrong without a sync of the file under Strict and Ordered, and right under Ext4. Without a sync of the folder the
// old file may come back, under Strict alone. Write, sync, rename, sync of the folder is right under every rule.
package faultfs
