package control

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestADaemonIsReadAsItTellsOfItself(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "status.json")
	var got SyslogStatus
	if err := ReadStatus(os.DirFS("/"), file, &got); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("one that has said nothing: got %v", err)
	}
	for _, told := range []SyslogStatus{{Servers: []SyslogServer{{Name: "a", Port: 514}, {Name: "b", Port: 6514, Sent: 7}}}, {Servers: []SyslogServer{{Name: "c"}}}} {
		got = SyslogStatus{}
		if err := errors.Join(WriteStatus(file, told), ReadStatus(os.DirFS("/"), file, &got)); err != nil || !reflect.DeepEqual(got, told) {
			t.Errorf("wanted %+v, got %+v, %v", told, got, err)
		}
	}
	if list, err := os.ReadDir(folder); err != nil || len(list) != 1 {
		t.Errorf("beside the file are %v, %v", list, err)
	}
	if err := WriteStatus(filepath.Join(folder, "none", "status.json"), got); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("where it cannot be written: got %v", err)
	}
}
