# SPDX-License-Identifier: GPL-3.0-or-later
#
# The empty volume made again, at another time: the same bytes.
execute_process(COMMAND ${CMAKE_COMMAND} -DEMBED=${EMBED} -DMKNTFS=${MKNTFS}
	-DNTFSRESIZE=${NTFSRESIZE} -DNTFSFIX=${NTFSFIX} -DOUT=${OUT} -P ${MAKE}
	COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} -E compare_files ${BUILT} ${OUT} RESULT_VARIABLE differs)
file(REMOVE ${OUT})
if(differs)
	message(FATAL_ERROR "${BUILT} is not what another build makes")
endif()
