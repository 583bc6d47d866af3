package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"rotunda/init/control"
	"rotunda/init/durable"
)

// Reset replaces the current set by one without application data (scope "app"), or by an empty one (scope "full"),
// which also clears the transfer folder, logs, traces and the map of network ports. Like [Sets.Rollback] it counts
// from the next start.
//
// "app" keeps configuration, accounts, certificates and licence, so that an administrator still gets in and can roll
// a backup back (deployment guide chapter 4.2).
func (s *Sets) Reset(ctx context.Context, scope string) error {
	switch scope {
	case "app":
		return s.resetApp(ctx)
	case "full":
		return s.resetFull()
	}
	return control.Refuse(422, "factory reset %q: use app or full", printable(scope))
}

func (s *Sets) resetApp(ctx context.Context) error {
	if err := s.roomForKept(ctx); err != nil {
		return err
	}
	_, err := s.replace(func(b *builder) error {
		for _, part := range []string{"config", "mmp", "files"} {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := b.copyFrom(part, func(string) bool { return true }); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// roomForKept fails early and clearly where resetApp would run out of room.
func (s *Sets) roomForKept(ctx context.Context) error {
	var need int64
	for _, part := range []string{"config", "mmp", "files"} {
		files, err := s.list(setFolder(s.current), part)
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := ctx.Err(); err != nil {
				return err
			}
			info, err := s.fsys.Lstat(path.Join(setFolder(s.current), f.name))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			need += info.Size()
		}
	}
	return s.room(need)
}

// resetFull only marks what lies outside of the set: programs still write there, and a power cut between the flip and
// the clearing must not leave the files of the owner before. [Open] clears it at every start until it is done.
func (s *Sets) resetFull() error {
	_, err := s.replace(func(b *builder) error {
		return durable.WriteFile(s.fsys, path.Join(b.folder, resetMark), nil, 0o600, nil)
	})
	return err
}

// finishReset clears what a full reset clears outside of the set, if the current set says that this is to be done.
func (s *Sets) finishReset() error {
	mark := path.Join(setFolder(s.current), resetMark)
	if _, err := s.fsys.Lstat(mark); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("finish factory reset: %w", err)
	}
	for _, f := range clearedByFullReset {
		err := durable.Empty(s.fsys, f)
		if err == nil {
			err = s.fsys.SyncDir(f)
		}
		if err != nil {
			return fmt.Errorf("finish factory reset: %w", err)
		}
	}
	if err := s.fsys.Remove(mark); err != nil {
		return fmt.Errorf("finish factory reset: %w", err)
	}
	return s.fsys.SyncDir(setFolder(s.current))
}
