package commands

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"rotunda/mmp/files"
	"rotunda/mmp/grammar"
)

// NoticeBoard keeps the texts that people read when they log in, as files that come by SFTP, too.
type NoticeBoard interface {
	Put(p files.Person, name string, data []byte, replace bool) error
	Remove(p files.Person, name string) error
}

// noticeCommands are the commands about those texts.
func (d Deps) noticeCommands() []grammar.Command {
	var list []grammar.Command
	for _, n := range []struct{ name, help, shown string }{
		{"motd", "the message of the day", "It is shown behind the login"},
		{"login_warning", "the warning", "It is shown before the login"},
	} {
		list = append(list,
			grammar.Command{
				Syntax: n.name, Roles: readers,
				Help: "Show " + n.help,
				Run:  func(c *grammar.Call) error { return d.showNotice(c, n.name) },
			},
			grammar.Command{
				Syntax: n.name + " add <message:text>", Roles: admins,
				Help: "Set " + n.help + " of up to 2048 characters",
				Detail: n.shown + ", on consoles and by SSH. It takes the place of the one before. For more than one line put it by SFTP as a file of the name " +
					n.name + ".",
				Run: func(c *grammar.Call) error {
					if d.Notices == nil {
						return errors.New("there is no storage")
					}
					text := c.Arg("message") + "\n"
					if was, err := d.readStored(n.name); err == nil && string(was) == text {
						return mayBeThere(c, isThere("this is the %s already", n.name))
					}
					return d.Notices.Put(person(c.Caller), n.name, []byte(text), true)
				},
			},
			grammar.Command{
				Syntax: n.name + " del", Roles: admins,
				Help: "Remove " + n.help,
				Run: func(c *grammar.Call) error {
					if d.Notices == nil {
						return errors.New("there is no storage")
					}
					err := d.Notices.Remove(person(c.Caller), n.name)
					if errors.Is(err, fs.ErrNotExist) {
						return fmt.Errorf("there is no %s", n.name)
					}
					return err
				},
			})
	}
	return list
}

func (d Deps) showNotice(c *grammar.Call, name string) error {
	if d.Stored == nil {
		return errors.New("there is no storage")
	}
	if f, err := d.Stored.OpenStored(name); errors.Is(err, fs.ErrNotExist) {
		c.Printf("There is no %s\n", name)
		return nil
	} else if err == nil {
		f.Close()
	}
	text, err := d.readStored(name)
	if err != nil {
		return err
	}
	for line := range strings.Lines(strings.ToValidUTF8(string(text), "?")) {
		c.Printf("%s\n", printable(strings.TrimRight(line, "\r\n")))
	}
	return nil
}
