package main

import "testing"

func TestAFolderThatNothingIsMountedOnIsNoFileSystem(t *testing.T) {
	for folder, want := range map[string]bool{"/proc": true, t.TempDir(): false, "/nonexistent": false} {
		if got := mounted(folder); got != want {
			t.Errorf("%s: want mounted %v, got %v", folder, want, got)
		}
	}
}
