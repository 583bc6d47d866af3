package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"rotunda/firmware"
	"rotunda/image/initramfs"
	"rotunda/image/sbom"
)

// licenceFolder holds, for every part that is shipped, the texts that its licence wants to be shipped with it.
const licenceFolder = "usr/share/licenses"

// commonLicences is where Debian keeps the texts that copyright files only refer to.
const commonLicences = "/usr/share/common-licenses"

// workerLicence is what holds for a program with codecs as a whole. Our own code in it is under the Apache licence 2.0,
// which goes together with version 3 of the GPL but not with version 2; x264 leaves the choice.
const workerLicence = "GPL-3.0-or-later"

const workerNotice = `The program mediaworker consists of Rotunda's own code, which is under the Apache License 2.0, and of libraries
that are linked into it statically: FFmpeg (GNU LGPL, version 2.1 or later), x264 (GNU GPL, version 2 or later),
openh264, libvpx, opus and libyuv (BSD licences), the GNU C library (GNU LGPL, version 2.1 or later), and the
runtime libraries of GCC (GNU GPL, version 3 or later, with the GCC Runtime Library Exception).

Because of x264, the program as a whole may be passed on under the terms of the GNU General Public License, version 3 or
later, only. Its text is in ../common/GPL-3. The source code belonging to it is that of this release of Rotunda, which
also has the build instructions, and Debian's source packages in exactly the versions that the release's sbom.json
names with their hashes. None of them is changed by Rotunda.
`

// licenceFile are the names of files with licence texts in Go modules.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([.-].*)?$`)

// textsIn returns the licence texts in the top folder of a module or of the Go distribution, as files below folder.
func textsIn(dir, folder string) ([]initramfs.File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("find licences of %s: %w", folder, err)
	}
	var files []initramfs.File
	for _, e := range entries {
		if !e.Type().IsRegular() || !licenceFile.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("find licences of %s: %w", folder, err)
		}
		files = append(files, initramfs.Regular(filepath.Join(licenceFolder, folder, e.Name()), 0o644, text))
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("find licences of %s: no licence file", folder)
	}
	return files, nil
}

// recognise returns the licences that the texts grant, by SPDX identifier.
func recognise(files []initramfs.File) []string {
	var ids []string
	for _, f := range files {
		ids = append(ids, sbom.Recognise(string(f.Data))...)
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) == 0 {
		return []string{"see " + files[0].Path}
	}
	return ids
}

var commonReference = regexp.MustCompile(commonLicences + `/([A-Za-z0-9.-]*[A-Za-z0-9])`)

// packageTexts returns the copyright files of the Debian packages and the common licences that they refer to.
func packageTexts(packages []firmware.Package) ([]initramfs.File, error) {
	var files []initramfs.File
	common := map[string]bool{}
	for _, p := range packages {
		text, err := os.ReadFile(p.Copyright())
		if err != nil {
			return nil, fmt.Errorf("read copyright of %s: %w", p.Name, err)
		}
		files = append(files, initramfs.Regular(filepath.Join(licenceFolder, p.Name, "copyright"), 0o644, text))
		for _, m := range commonReference.FindAllStringSubmatch(string(text), -1) {
			common[m[1]] = true
		}
	}
	for name := range common {
		text, err := os.ReadFile(filepath.Join(commonLicences, name))
		if err != nil {
			return nil, fmt.Errorf("read common licence: %w", err)
		}
		files = append(files, initramfs.Regular(filepath.Join(licenceFolder, "common", name), 0o644, text))
	}
	return files, nil
}

// goTexts returns the licence texts of modules and of the Go distribution, and what each part's licences are.
func goTexts(goroot string, modules []module) ([]initramfs.File, map[string][]string, error) {
	licences := map[string][]string{}
	all, err := textsIn(goroot, "go")
	if err != nil {
		return nil, nil, err
	}
	licences["go"] = recognise(all)
	for _, m := range modules {
		files, err := textsIn(m.Dir, m.Path)
		if err != nil {
			return nil, nil, err
		}
		licences[m.Path] = recognise(files)
		all = append(all, files...)
	}
	return all, licences, nil
}
