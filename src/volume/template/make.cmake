# SPDX-License-Identifier: GPL-3.0-or-later
#
# cmake -DEMBED=<program> -DMKNTFS=... -DNTFSRESIZE=... -DNTFSFIX=... -DOUT=<c> -P make.cmake: an
# empty NTFS volume of 16 GiB as C arrays.
#
# mkntfs makes a small one, whose $LogFile is small, and ntfsresize stretches it. With -T the times
# are those of 1970 and the serial number is always the same one, so that every build gives the
# same bytes. ntfsfix takes away the dirty flag and the cleared log that ntfsresize leaves behind.

set(image ${OUT}.img)

function(run)
	execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE said
		ERROR_VARIABLE said)
	if(failed)
		file(REMOVE ${image})
		list(JOIN ARGN " " command)
		message(FATAL_ERROR "${command}: ${failed}\n${said}")
	endif()
endfunction()

set(ENV{LC_ALL} C.UTF-8)
file(REMOVE ${image})
run(${EMBED} size 16777216 ${image})
run(${MKNTFS} -T -Q -F -q -s 512 -c 4096 -p 0 -H 255 -S 63 ${image})
run(${EMBED} size 17179869184 ${image})
run(${NTFSRESIZE} -ff -P -s 17179869184 ${image})
run(${NTFSFIX} -d ${image})
run(${EMBED} write ${image} ${OUT})
file(REMOVE ${image})
