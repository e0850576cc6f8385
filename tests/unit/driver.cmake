# SPDX-License-Identifier: GPL-3.0-or-later
set(pkgtest support/pkgtest.c support/mkpkg.c support/mkpe.c ${mkcat} support/dirsource.c)
ibb_unit_test(test_store LABEL golden SOURCES unit/test_store.c ${pkgtest}
	LAYERS base inf authenticode driver)
ibb_unit_test(test_package LABEL unit SOURCES unit/test_package.c ${pkgtest}
	LAYERS base inf authenticode driver)
ibb_unit_test(test_match LABEL unit SOURCES unit/test_match.c ${pkgtest}
	LAYERS base inf authenticode driver)
ibb_unit_test(test_packed LABEL unit SOURCES unit/test_packed.c support/mkcab.c ${pkgtest}
	LAYERS base inf authenticode driver)
ibb_unit_test(test_configure_golden LABEL golden SOURCES unit/test_configure_golden.c ${pkgtest}
	LAYERS base inf authenticode driver hive)
ibb_unit_test(test_configure LABEL unit SOURCES unit/test_configure.c support/cfgtest.c ${pkgtest}
	LAYERS base inf authenticode driver)
ibb_unit_test(test_configure_bad LABEL bad SOURCES unit/test_configure_bad.c support/cfgtest.c
	${pkgtest} LAYERS base inf authenticode driver)
ibb_unit_test(test_package_trust LABEL bad SOURCES unit/test_package_trust.c support/mkpki.c ${pkgtest}
	LAYERS base inf authenticode driver)
