package firmware

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// fonts are the files that the letters in composed pictures come from, by package: the scripts that names of people are
// written in, 9.5 MB. Debian's package of Noto has sixty times as many; Han and kana come from Droid, a tenth of the size of
// Noto's, and Hangul from Nanum, which Droid lacks.
var fonts = []struct {
	pkg, folder string
	files       []string
}{
	{"fonts-droid-fallback", "usr/share/fonts/truetype/droid", []string{"DroidSansFallbackFull.ttf"}},
	{"fonts-nanum", "usr/share/fonts/truetype/nanum", []string{"NanumSquareR.ttf"}},
	{"fonts-noto-core", "usr/share/fonts/truetype/noto", []string{
		"NotoSans-Regular.ttf", "NotoSansArabic-Regular.ttf", "NotoSansArmenian-Regular.ttf", "NotoSansBengali-Regular.ttf",
		"NotoSansDevanagari-Regular.ttf", "NotoSansEthiopic-Regular.ttf", "NotoSansGeorgian-Regular.ttf", "NotoSansGujarati-Regular.ttf",
		"NotoSansGurmukhi-Regular.ttf", "NotoSansHebrew-Regular.ttf", "NotoSansKannada-Regular.ttf", "NotoSansKhmer-Regular.ttf",
		"NotoSansLao-Regular.ttf", "NotoSansMalayalam-Regular.ttf", "NotoSansMyanmar-Regular.ttf", "NotoSansOriya-Regular.ttf",
		"NotoSansSinhala-Regular.ttf", "NotoSansSymbols-Regular.ttf", "NotoSansSymbols2-Regular.ttf", "NotoSansTamil-Regular.ttf",
		"NotoSansTelugu-Regular.ttf", "NotoSansThaana-Regular.ttf", "NotoSansThai-Regular.ttf", "NotoSerifTibetan-Regular.ttf",
	}},
}

// fetchFonts returns the font files and the packages that they come from.
func fetchFonts(ctx context.Context, a *apt, cache string) (files []string, packages []Package, err error) {
	var names []string
	for _, f := range fonts {
		names = append(names, f.pkg)
	}
	records, err := a.show(ctx, names...)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range fonts {
		p, err := fetchPackage(ctx, a, cache, records[f.pkg])
		if err != nil {
			return nil, nil, fmt.Errorf("fetch %s: %w", f.pkg, err)
		}
		packages = append(packages, p)
		for _, name := range f.files {
			file := filepath.Join(p.Dir, f.folder, name)
			if _, err := os.Stat(file); err != nil {
				return nil, nil, fmt.Errorf("look into %s: %w", f.pkg, err)
			}
			files = append(files, file)
		}
	}
	return files, packages, nil
}
