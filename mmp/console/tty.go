package console

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"rotunda/mmp/line"
)

// openTTY opens a terminal device raw. O_NONBLOCK keeps a serial line without a carrier signal from blocking the open
// and lets Close end a Read; O_NOCTTY keeps a hang-up from being a signal for the process.
func openTTY(path string) (io.ReadWriteCloser, line.Size, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, line.Size{}, fmt.Errorf("open: %w", err)
	}
	if err := makeRaw(fd); err != nil {
		_ = unix.Close(fd)
		return nil, line.Size{}, err
	}
	var size line.Size
	// A device without a size says 0 by 0 or fails; the terminal then assumes one.
	if w, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil {
		size = line.Size{Columns: int(w.Col), Rows: int(w.Row)}
	}
	return os.NewFile(uintptr(fd), path), size, nil
}

// makeRaw switches off what the kernel does to characters (termios(3)). The speed stays what the kernel's command line
// has set. CLOCAL is set because most console cables carry no modem signals.
func makeRaw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("read the terminal's settings: %w", err)
	}
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON | unix.IXOFF
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag &^= unix.CSIZE | unix.PARENB | unix.HUPCL
	t.Cflag |= unix.CS8 | unix.CREAD | unix.CLOCAL
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
		return fmt.Errorf("set the terminal raw: %w", err)
	}
	return nil
}
