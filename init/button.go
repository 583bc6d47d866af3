package main

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The power button of a server, and of a hypervisor that asks its guest to go down, is a key (linux/input.h).
const (
	eventKey   = 1
	keyPower   = 116
	keyPressed = 1
)

// inputEvent is struct input_event on a 64-bit machine.
type inputEvent struct {
	_    unix.Timeval // time
	kind uint16
	_    uint16 // code
	_    int32  // value
}

// watchButtons ends this boot when the power button is pressed. Devices that have no such key are closed again; the
// readers of the others end with the machine.
func (m *machine) watchButtons(context.Context) (func(), error) {
	files, err := filepath.Glob("/dev/input/event*")
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			continue
		}
		if !hasPowerKey(f) {
			f.Close()
			continue
		}
		go func() {
			defer f.Close()
			b := make([]byte, 64*int(unsafe.Sizeof(inputEvent{})))
			for {
				n, err := f.Read(b)
				if err != nil {
					return
				}
				if powerPressed(b[:n]) {
					m.info("power button pressed")
					m.endSoon(actionShutdown)
				}
			}
		}()
	}
	return nil, err
}

// hasPowerKey asks for the device's keys: EVIOCGBIT(EV_KEY, …), a bit a key.
func hasPowerKey(f *os.File) bool {
	var keys [96]byte
	request := uintptr(2<<30 | len(keys)<<16 | 'E'<<8 | 0x20 + eventKey)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(unsafe.Pointer(&keys[0]))); errno != 0 {
		return false
	}
	return keys[keyPower/8]&(1<<(keyPower%8)) != 0
}

// powerPressed looks for the key among whole events.
func powerPressed(b []byte) bool {
	const size = int(unsafe.Sizeof(inputEvent{}))
	for ; len(b) >= size; b = b[size:] {
		e := b[unsafe.Offsetof(inputEvent{}.kind):size]
		if binary.NativeEndian.Uint16(e) == eventKey && binary.NativeEndian.Uint16(e[2:]) == keyPower && binary.NativeEndian.Uint32(e[4:]) == keyPressed {
			return true
		}
	}
	return false
}
