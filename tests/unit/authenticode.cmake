# SPDX-License-Identifier: GPL-3.0-or-later
ibb_unit_test(test_signer LABEL unit SOURCES unit/test_signer.c ${mkcat} LAYERS base authenticode)
foreach(test cat cat_real pe)
	ibb_unit_test(test_${test} LABEL unit SOURCES unit/test_${test}.c support/mkpe.c ${mkcat}
		LAYERS base authenticode)
endforeach()
foreach(test cat_bad pe_bad)
	ibb_unit_test(test_${test} LABEL bad SOURCES unit/test_${test}.c support/mkpe.c ${mkcat}
		LAYERS base authenticode)
endforeach()
ibb_unit_test(test_signature LABEL unit SOURCES unit/test_signature.c support/mkpki.c ${mkcat}
	LAYERS base authenticode)
ibb_unit_test(test_signature_bad LABEL bad SOURCES unit/test_signature_bad.c support/mkpki.c
	LAYERS base authenticode)
ibb_unit_test(test_signature_real LABEL unit SOURCES unit/test_signature_real.c support/mkpki.c
	LAYERS base authenticode)
ibb_unit_test(test_signature_fault LABEL fault SOURCES unit/test_signature_fault.c support/mkpki.c
	LAYERS base authenticode)
ibb_unit_test(test_trust LABEL unit SOURCES unit/test_trust.c LAYERS base authenticode)
