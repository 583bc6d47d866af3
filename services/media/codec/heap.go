package codec

// #include <malloc.h>
import "C"

// fromSystem is the size in bytes from which the C heap asks the kernel for each block, and gives it back when it is freed.
const fromSystem = 128 << 10

// HoldHeap keeps the heap that the codec libraries share from growing as calls come and go; the program calls it before the first codec.
//
// The C library raises the size of what it takes from the kernel directly to the largest block that was ever freed, and has a heap for each
// thread that it meets. Goroutines open and close codecs on changing threads, so that holes of pictures are left in all of them: a meeting of
// nine in which somebody leaves and returns every five seconds grew from 107 to 168 MiB in 16 minutes. One heap and a fixed size hold it.
func HoldHeap() {
	C.mallopt(C.M_ARENA_MAX, 1)
	C.mallopt(C.M_MMAP_THRESHOLD, fromSystem)
	C.mallopt(C.M_TRIM_THRESHOLD, fromSystem)
}
